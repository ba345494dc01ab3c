package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// backendBytes is etcd's quota: benchmarks keep tens of thousands of objects with their history.
const backendBytes = 8 << 30

// etcd serves one member without fsync, since its data ends with it. The kernel chooses the ports; the client address
// is written to --address-fd, one line, once the member answers.
func etcd(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := flags.String("data-dir", "", "where the member keeps its data")
	addressFd := flags.Uint("address-fd", 1, "file descriptor that gets the client address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("--data-dir is needed")
	}
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg := embed.NewConfig()
	cfg.Dir = *dir
	cfg.UnsafeNoFsync = true
	cfg.QuotaBackendBytes = backendBytes
	cfg.WarningUnaryRequestDuration = time.Second
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{"stderr"}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = anyPort, anyPort
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = anyPort, anyPort
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)

	member, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer member.Close()
	select {
	case <-member.Server.ReadyNotify():
	case err := <-member.Err():
		return err
	case <-ctx.Done():
		return nil
	}
	report := os.NewFile(uintptr(*addressFd), "address")
	if _, err := fmt.Fprintf(report, "http://%s\n", member.Clients[0].Addr()); err != nil {
		return fmt.Errorf("tell the address: %w", err)
	}
	if err := report.Close(); err != nil {
		return err
	}
	select {
	case err := <-member.Err():
		return err
	case <-ctx.Done():
		return nil
	}
}
