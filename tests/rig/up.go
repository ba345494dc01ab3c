package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// startTimeout bounds the whole start, which takes about three seconds on an idle machine.
const startTimeout = 3 * time.Minute

// world is what "up" tells its caller, one line of JSON.
type world struct {
	Kubeconfig string         `json:"kubeconfig"`
	Server     string         `json:"server"`
	Token      string         `json:"token"`
	CA         string         `json:"ca"`
	Registry   string         `json:"registry,omitempty"`
	Pids       map[string]int `json:"pids"`
}

// up starts the servers, tells where they are when all of them answer, and ends them with its stdin, on a signal, or when
// one of them dies.
func up(args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for kubeconfig, keys, data and logs; made when absent")
	noManager := flags.Bool("no-controller-manager", false, "leave out garbage collection, namespaces and ServiceAccounts")
	ephemeral := flags.Bool("ephemeral", false, "remove the data of etcd and the registry at the end; logs stay")
	withRegistry := flags.Bool("registry", true, "start the distribution registry, too")
	auditLog := flags.String("audit-log", "", "file that gets a line for each request of a ServiceAccount")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *dir == "" {
		return errors.New("--dir is needed")
	}
	folder, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}

	// The kernel ends a child when the thread that started it ends, so that thread has to stay.
	runtime.LockOSThread()
	ctx, cancel := context.WithCancel(interrupted())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	parts := newChildren(folder)
	if *ephemeral {
		defer func() {
			_ = os.RemoveAll(filepath.Join(folder, "etcd"))
			_ = os.RemoveAll(filepath.Join(folder, "registry"))
		}()
	}
	defer parts.end()
	started := make(chan error, 1)
	w, stages, err := startAll(parts, folder, !*noManager, *withRegistry, *auditLog)
	if err != nil {
		return err
	}
	bounded, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	begin := func() error {
		stage := stages[0]
		stages = stages[1:]
		if err := stage.start(); err != nil {
			return err
		}
		go func() { started <- stage.wait(bounded) }()
		return nil
	}
	if err := begin(); err != nil {
		return err
	}
	for {
		select {
		case err := <-parts.died:
			return err
		case err := <-started:
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			if len(stages) > 0 {
				if err := begin(); err != nil {
					return err
				}
				continue
			}
			line, err := json.Marshal(w)
			if err != nil {
				return err
			}
			fmt.Println(string(line))
		case <-ctx.Done():
			return nil
		}
	}
}

// stage is what is started when all before it answers. It is started by the thread that stays.
type stage struct {
	start func() error
	wait  func(context.Context) error
}

// startAll starts each server as soon as what it needs is known, and returns what is left to be waited for and started.
func startAll(parts *children, dir string, manager, withRegistry bool, auditLog string) (*world, []stage, error) {
	creds, err := newCredentials(dir)
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	w := &world{Token: creds.token, CA: creds.caFile, Pids: parts.pids}
	if withRegistry {
		address, socket, err := listen()
		if err != nil {
			return nil, nil, err
		}
		w.Registry = "http://" + address
		if err := parts.start("registry", self, []string{
			"registry", "--dir=" + filepath.Join(dir, "registry"), "--listen-fd=3",
		}, socket); err != nil {
			return nil, nil, err
		}
		socket.Close()
	}
	etcdURL, err := startEtcd(parts, self, dir)
	if err != nil {
		return nil, nil, err
	}
	if w.Server, err = startAPIServer(parts, self, dir, etcdURL, creds, auditLog); err != nil {
		return nil, nil, err
	}
	w.Kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := writeKubeconfig(w.Kubeconfig, w.Server, creds); err != nil {
		return nil, nil, err
	}
	client, err := newProbe(creds)
	if err != nil {
		return nil, nil, err
	}
	stages := []stage{{
		start: func() error { return nil },
		wait: func(ctx context.Context) error {
			if withRegistry {
				if err := client.until(ctx, w.Registry+"/v2/"); err != nil {
					return err
				}
			}
			return client.until(ctx, w.Server+"/readyz")
		},
	}}
	if manager {
		stages = append(stages, stage{
			// It waits for the API server itself, but gives up after ten seconds, which a busy machine may need.
			start: func() error {
				return parts.start("kube-controller-manager", self, []string{
					"kube-controller-manager",
					"--kubeconfig=" + w.Kubeconfig,
					"--service-account-private-key-file=" + creds.serviceAccountKeyFile,
					"--use-service-account-credentials=false",
					"--controllers=" + strings.Join(controllers, ","),
					"--leader-elect=false",
					"--secure-port=0",
					"--kube-api-qps=1000",
					"--kube-api-burst=2000",
				})
			},
			wait: func(ctx context.Context) error {
				return client.until(ctx, w.Server+"/api/v1/namespaces/default/serviceaccounts/default")
			},
		})
	}
	return w, stages, nil
}

// controllers keep namespaces, ServiceAccounts and owned objects as everywhere, and make pods of Deployments, which no kubelet
// runs here.
var controllers = []string{
	"garbage-collector-controller", "namespace-controller", "serviceaccount-controller", "serviceaccount-token-controller",
	"clusterrole-aggregation-controller", "deployment-controller", "replicaset-controller", "disruption-controller",
}

// auditPolicy notes who asked for what and whether that was allowed; bodies may hold secrets. A watch is noted when it
// begins, since the server may be gone before it ends.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: None
`

// assets names a program of $KUBEBUILDER_ASSETS, or nothing.
func assets(name string) string {
	if folder := os.Getenv("KUBEBUILDER_ASSETS"); folder != "" {
		return filepath.Join(folder, name)
	}
	return ""
}

func startEtcd(parts *children, self, dir string) (string, error) {
	data := filepath.Join(dir, "etcd")
	if program := assets("etcd"); program != "" {
		client, err := freeAddress()
		if err != nil {
			return "", err
		}
		url := "http://" + client
		return url, parts.start("etcd", program, []string{
			"--data-dir=" + data, "--unsafe-no-fsync", "--log-level=warn", fmt.Sprintf("--quota-backend-bytes=%d", backendBytes),
			"--listen-client-urls=" + url, "--advertise-client-urls=" + url,
			"--listen-peer-urls=http://127.0.0.1:0",
		})
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer reader.Close()
	err = parts.start("etcd", self, []string{"etcd", "--data-dir=" + data, "--address-fd=3"}, writer)
	writer.Close()
	if err != nil {
		return "", err
	}
	// The other end is the child's alone, so this ends when the child does.
	line := bufio.NewScanner(reader)
	if !line.Scan() {
		return "", <-parts.died
	}
	return line.Text(), nil
}

func startAPIServer(parts *children, self, dir, etcdURL string, creds *credentials, auditLog string) (string, error) {
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		// Nothing in the cluster talks to the address, and an endpoint may not be a loopback one.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + dir,
		"--tls-cert-file=" + creds.certFile,
		"--tls-private-key-file=" + creds.keyFile,
		"--token-auth-file=" + creds.tokenFile,
		"--authorization-mode=RBAC",
		"--service-account-key-file=" + creds.serviceAccountKeyFile,
		"--service-account-signing-key-file=" + creds.serviceAccountKeyFile,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged=true",
		// Priority and fairness shares these out; small shares would make a benchmark measure the queue.
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1500",
		"--profiling=false",
	}
	if auditLog != "" {
		policy := filepath.Join(dir, "audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return "", err
		}
		args = append(args, "--audit-policy-file="+policy, "--audit-log-path="+auditLog)
	}
	if program := assets("kube-apiserver"); program != "" {
		address, err := freeAddress()
		if err != nil {
			return "", err
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return "", err
		}
		return "https://" + address, parts.start("kube-apiserver", program, append(args, "--secure-port="+port))
	}
	address, socket, err := listen()
	if err != nil {
		return "", err
	}
	defer socket.Close()
	args = append([]string{"kube-apiserver", "--listen-fd=3"}, args...)
	return "https://" + address, parts.start("kube-apiserver", self, args, socket)
}

// listen opens a socket on a port that the kernel chooses, to be handed to a child.
func listen() (string, *os.File, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	return listener.Addr().String(), socket, err
}

// freeAddress is for programs that cannot be handed a socket. Somebody else may take the port in between: then the
// program ends with an error, or the certificate check of the first request fails.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
