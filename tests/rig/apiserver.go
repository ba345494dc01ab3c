package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// garbagePercent lets the heap grow to four times what is in use: a fifth of the server's time went into collecting it.
const garbagePercent = 300

// apiServer runs kube-apiserver with its own flags and one more, --listen-fd: the descriptor of a socket that already
// listens, so that no port has to be guessed.
func apiServer(args []string) error {
	debug.SetGCPercent(garbagePercent)
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	listenFd := flags.Uint("listen-fd", 0, "descriptor of a listening socket to serve on")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return err
	}
	if *listenFd != 0 {
		listener, err := inheritedListener(*listenFd)
		if err != nil {
			return err
		}
		opts.SecureServing.Listener = listener
	}
	ctx := genericapiserver.SetupSignalContext()
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(opts.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	return app.Run(ctx, completed)
}

func inheritedListener(fd uint) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return listener, nil
}
