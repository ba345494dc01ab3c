// Command tools makes of objects the series that kube-state-metrics would, by its own code: the configuration is the file
// of the first argument, the objects are JSON lines on stdin. Unknown fields of the configuration are an error.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kube-state-metrics/v2/pkg/customresourcestate"
	metricgenerator "k8s.io/kube-state-metrics/v2/pkg/metric_generator"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config struct {
		Kind string                          `json:"kind"`
		Spec customresourcestate.MetricsSpec `json:"spec"`
	}
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return err
	}
	var objects []*unstructured.Unstructured
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(lines.Bytes(), object); err != nil {
			return err
		}
		objects = append(objects, object)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, resource := range config.Spec.Resources {
		factory, err := customresourcestate.NewCustomResourceMetrics(resource)
		if err != nil {
			return fmt.Errorf("%s: %w", resource.GroupVersionKind.Kind, err)
		}
		families := factory.MetricFamilyGenerators()
		for i, header := range metricgenerator.ExtractMetricFamilyHeaders(families) {
			fmt.Println(header)
			for _, object := range objects {
				if object.GetKind() == resource.GroupVersionKind.Kind {
					fmt.Print(string(families[i].Generate(object).ByteSlice()))
				}
			}
		}
	}
	return nil
}
