// Command rig is the test control plane: etcd, the Kubernetes API server and controller manager, kubectl, the CNCF
// distribution registry, crane and a kubelet-like pull, each a sub-command of one program made from published modules.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/go-containerregistry/cmd/crane/cmd"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const usage = `usage: rig COMMAND [ARGUMENTS]

  up --dir D [--no-controller-manager] [--registry=false]
                            start a control plane and a registry; ends with its stdin
  pull --image I ...        pull as kubelet does, with a pod's imagePullSecrets
  push --image I ...        push a small image
  kubectl ...               Kubernetes' command line
  crane ...                 go-containerregistry's command line
  helm ...                  Helm's command line
  helm-resolve --registry-config F --reference R
                            the digest that Helm's registry client finds
  lua                       what a script of Argo CD's makes of an object, both in JSON on stdin
  kstatus                   what tools that wait take the object (JSON) on stdin for
  etcd, kube-apiserver, kube-controller-manager, registry
                            the servers that "up" starts
  version                   print the versions this program is made of

"rig COMMAND --help" tells more.
`

// A command ends the process itself or returns the exit status.
var commands = map[string]func(args []string) int{
	"up":             func(args []string) int { return fail("up", up(args)) },
	"etcd":           func(args []string) int { return fail("etcd", etcd(interrupted(), args)) },
	"kube-apiserver": func(args []string) int { return fail("kube-apiserver", apiServer(args)) },
	"registry":       func(args []string) int { return fail("registry", registry(interrupted(), args)) },
	"pull":           func(args []string) int { return pull(interrupted(), args) },
	"push":           func(args []string) int { return fail("push", push(interrupted(), args)) },
	"helm":           helm,
	"helm-resolve":   helmResolve,
	"kstatus":        kstatus,
	"lua":            runLua,
	"version":        func([]string) int { return version() },
	"kube-controller-manager": func([]string) int {
		return cli.Run(controllermanager.NewControllerManagerCommand())
	},
	"kubectl": func([]string) int { return cli.Run(kubectl.NewDefaultKubectlCommand()) },
	"crane": func([]string) int {
		if err := cmd.New("crane", "", nil).ExecuteContext(interrupted()); err != nil {
			return 1
		}
		return 0
	},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name := os.Args[1]
	if name == "help" || name == "--help" || name == "-h" {
		fmt.Print(usage)
		return
	}
	command, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "rig: no command %q\n\n%s", name, usage)
		os.Exit(2)
	}
	// kubectl, crane and the controller manager read os.Args themselves.
	os.Args = os.Args[1:]
	os.Exit(command(os.Args[1:]))
}

// interrupted is done at the first SIGINT or SIGTERM.
func interrupted() context.Context {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	return ctx
}

func fail(command string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "rig %s: %v\n", command, err)
	return 1
}
