package main

import (
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// kstatus prints what kstatus, and so "helm --wait", Flux and others, takes the object on stdin for: Current, InProgress, Failed,
// Terminating, NotFound or Unknown, and why.
func kstatus([]string) int {
	return fail("kstatus", func() error {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(text); err != nil {
			return fmt.Errorf("read the object on stdin: %w", err)
		}
		result, err := status.Compute(&object)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s\n", result.Status, result.Message)
		return nil
	}())
}
