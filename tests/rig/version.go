package main

import (
	"fmt"
	"runtime/debug"
)

// version prints one "module version" pair a line for the parts whose behaviour tests depend on.
func version() int {
	parts := map[string]bool{
		"k8s.io/kubernetes":                       true,
		"go.etcd.io/etcd/server/v3":               true,
		"github.com/distribution/distribution/v3": true,
		"github.com/google/go-containerregistry":  true,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return 1
	}
	fmt.Println("go", info.GoVersion)
	for _, module := range info.Deps {
		if parts[module.Path] {
			fmt.Println(module.Path, module.Version)
		}
	}
	return 0
}
