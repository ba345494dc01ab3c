package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	helmcommand "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
	helmregistry "helm.sh/helm/v4/pkg/registry"
)

// helm is Helm's command line.
func helm(args []string) int {
	// What managed fields call it, as in Helm's own program.
	kube.ManagedFieldsManager = "helm"
	command, err := helmcommand.NewRootCmd(os.Stdout, args, helmcommand.SetupLogging)
	if err != nil {
		return fail("helm", err)
	}
	err = command.Execute()
	if status, ok := errors.AsType[helmcommand.CommandError](err); ok {
		return status.ExitCode
	}
	return fail("helm", err)
}

// helmResolve prints the digest that Helm's registry client finds with the login of a docker configuration, as "helm pull
// oci://..." does before it fetches a chart.
func helmResolve(args []string) int {
	flags := flag.NewFlagSet("helm-resolve", flag.ExitOnError)
	config := flags.String("registry-config", "", "docker configuration with the login")
	reference := flags.String("reference", "", "HOST/REPOSITORY:TAG in a registry without TLS")
	_ = flags.Parse(args)
	return fail("helm-resolve", func() error {
		client, err := helmregistry.NewClient(helmregistry.ClientOptCredentialsFile(*config), helmregistry.ClientOptPlainHTTP())
		if err != nil {
			return err
		}
		found, err := client.Resolve(*reference)
		if err != nil {
			return err
		}
		fmt.Println(found.Digest)
		return nil
	}())
}
