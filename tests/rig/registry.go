package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

// registry serves the CNCF distribution registry from a folder: no authentication (Harbor's front stands before it),
// deletion allowed, relative URLs, so that a front may pass its answers on as they are.
func registry(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	dir := flags.String("dir", "", "where blobs are kept")
	listen := flags.String("listen", "127.0.0.1:0", "address to serve on")
	listenFd := flags.Uint("listen-fd", 0, "descriptor of a listening socket to serve on, in place of --listen")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("--dir is needed")
	}
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem": configuration.Parameters{"rootdirectory": *dir},
			"delete":     configuration.Parameters{"enabled": true},
			"maintenance": configuration.Parameters{
				"uploadpurging": map[interface{}]interface{}{"enabled": false},
			},
		},
	}
	config.HTTP.RelativeURLs = true
	config.HTTP.Secret = "of one process only"
	config.Log.Level = "warn"
	config.Catalog.MaxEntries = 1000
	logrus.SetLevel(logrus.WarnLevel)

	var listener net.Listener
	var err error
	if *listenFd != 0 {
		listener, err = inheritedListener(*listenFd)
	} else {
		listener, err = net.Listen("tcp", *listen)
	}
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handlers.NewApp(ctx, config)}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
