// Command crd-check holds Kubernetes objects against the schemas of Istio's and
// the Gateway API's CustomResourceDefinitions with the API server's own code:
// structural schema, list maps, unknown fields and CEL rules. Autoscalers are
// decoded strictly, which finds unknown and mistyped fields.
//
//	crd-check [--crds FILE]... [--channel standard|experimental] OBJECTS.yaml...
//	crd-check --print OBJECTS.yaml...
//
// The second form only prints each object as JSON, one a line, as Kubernetes
// reads it from YAML. Objects of other groups (Deployment, Service) are skipped.
// Prints one line per fault and exits 1 when there is any; prints "checked N
// objects" last.
package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"

	"istio.io/istio/manifests"
	"istio.io/istio/pkg/config/crd"
)

// The Gateway API's definitions, put there from its module by the build.
//
//go:embed crds
var gatewayCRDs embed.FS

const istioCRDs = "charts/base/files/crd-all.gen.yaml"

type paths []string

func (p *paths) String() string     { return strings.Join(*p, ",") }
func (p *paths) Set(v string) error { *p = append(*p, v); return nil }

func main() {
	var extra paths
	flag.Var(&extra, "crds", "file with further CustomResourceDefinitions; may be repeated")
	channel := flag.String("channel", "standard", "channel of the Gateway API")
	print := flag.Bool("print", false, "print the objects as JSON lines instead")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: crd-check [--crds FILE]... | --print OBJECTS.yaml...")
		os.Exit(2)
	}
	if *print {
		printObjects(flag.Args())
		return
	}
	validator, err := newValidator(extra, *channel)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	checked, faults := 0, 0
	for _, file := range flag.Args() {
		objects, err := readObjects(file)
		if err != nil {
			fmt.Printf("%s: %v\n", file, err)
			faults++
		}
		for _, object := range objects {
			check := validator.ValidateCustomResource
			switch group := object.GroupVersionKind().Group; {
			case group == "autoscaling":
				check = checkAutoscaler
			case strings.Contains(group, "istio.io"), group == "gateway.networking.k8s.io":
			case len(extra) == 0:
				continue
			}
			checked++
			if err := check(object); err != nil {
				fmt.Printf("%s: %v\n", file, err)
				faults++
			}
		}
	}
	fmt.Printf("checked %d objects\n", checked)
	if faults > 0 {
		os.Exit(1)
	}
}

func checkAutoscaler(object runtime.Object) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(&autoscaling.HorizontalPodAutoscaler{})
}

func printObjects(files []string) {
	for _, file := range files {
		objects, err := readObjects(file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "error: %s: %v\n", file, err)
			os.Exit(1)
		}
		for _, object := range objects {
			line, err := json.Marshal(object.Object)
			if err != nil {
				fmt.Fprintf(os.Stderr, "error: %s: %v\n", file, err)
				os.Exit(1)
			}
			fmt.Println(string(line))
		}
	}
}

// newValidator writes the embedded CRDs to files, because that is what Istio's
// validator reads.
func newValidator(extra []string, channel string) (*crd.Validator, error) {
	definitions, err := manifests.FS.ReadFile(istioCRDs)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "crd-check")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "crds.yaml")
	if err := os.WriteFile(file, definitions, 0o600); err != nil {
		return nil, err
	}
	routes, err := gatewayCRDs.ReadFile("crds/" + channel + ".yaml")
	if err != nil {
		return nil, err
	}
	gatewayFile := filepath.Join(dir, "gateway-crds.yaml")
	if err := os.WriteFile(gatewayFile, routes, 0o600); err != nil {
		return nil, err
	}
	files := append([]string{file, gatewayFile}, extra...)
	validator, err := crd.NewValidatorFromFilesWithOptions(files, crd.WithoutCRDValidation())
	if err != nil {
		return nil, err
	}
	validator.SkipMissing = len(extra) > 0
	return validator, nil
}

func readObjects(file string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := kubeyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return objects, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}
