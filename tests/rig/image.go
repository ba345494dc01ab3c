package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// push makes a small image and pushes it. go-containerregistry speaks plain http to loopback addresses only after https
// failed; a private certificate authority is named by $SSL_CERT_FILE.
func push(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	image := flags.String("image", "", "host/repository:tag to push to")
	username := flags.String("username", "", "login; without it the docker config ($DOCKER_CONFIG) is used")
	content := flags.String("content", "hello", "what the image's only file says")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: rig push --image I [--username U, with the password on stdin]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	reference, err := name.ParseReference(*image)
	if err != nil {
		return err
	}
	made, err := smallImage(*content)
	if err != nil {
		return err
	}
	login := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	if *username != "" {
		password, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		login = remote.WithAuth(&authn.Basic{Username: *username, Password: strings.TrimRight(string(password), "\r\n")})
	}
	if err := remote.Write(reference, made, login, remote.WithContext(ctx)); err != nil {
		return err
	}
	digest, err := made.Digest()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

// smallImage has one layer with one file, and the platform it is made on.
func smallImage(content string) (v1.Image, error) {
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	if err := archive.WriteHeader(&tar.Header{Name: "hello.txt", Mode: 0o644, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := archive.Write([]byte(content)); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	file, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, file)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	return mutate.ConfigFile(image, config)
}

// fetch downloads everything of an image, checks it against its digests and throws it away.
func fetch(ctx context.Context, reference name.Reference, login authn.Authenticator) (v1.Hash, error) {
	image, err := remote.Image(reference, remote.WithAuth(login), remote.WithContext(ctx),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return v1.Hash{}, err
	}
	if _, err := image.RawConfigFile(); err != nil {
		return v1.Hash{}, err
	}
	layers, err := image.Layers()
	if err != nil {
		return v1.Hash{}, err
	}
	for _, layer := range layers {
		blob, err := layer.Compressed()
		if err != nil {
			return v1.Hash{}, err
		}
		_, err = io.Copy(io.Discard, blob)
		blob.Close()
		if err != nil {
			return v1.Hash{}, err
		}
	}
	return image.Digest()
}
