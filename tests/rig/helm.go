package main

import (
	"flag"
	"fmt"

	helmregistry "helm.sh/helm/v3/pkg/registry"
)

// helm prints the digest that Helm's registry client finds with the login of a docker configuration, as "helm pull
// oci://..." does before it fetches a chart.
func helm(args []string) int {
	flags := flag.NewFlagSet("helm", flag.ExitOnError)
	config := flags.String("registry-config", "", "docker configuration with the login")
	reference := flags.String("reference", "", "HOST/REPOSITORY:TAG in a registry without TLS")
	_ = flags.Parse(args)
	return fail("helm", func() error {
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
