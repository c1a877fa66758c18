// Programs of the cluster suites that are libraries elsewhere:
//
//	cluster-tools registry            an OCI registry on a free port; prints its address
//	cluster-tools fetch URL [SHA256]  loads a Wasm module as Istio's agent does; prints its SHA-256
//	cluster-tools template CHART NAMESPACE VALUES-JSON  renders a Helm chart
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sort"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"istio.io/istio/pkg/wasm"
)

func main() {
	commands := map[string]func([]string) error{
		"registry": serveRegistry,
		"fetch":    fetch,
		"template": template,
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func serveRegistry([]string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	return http.Serve(listener, registry.New())
}

func fetch(args []string) error {
	directory, err := os.MkdirTemp("", "weir-wasm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	cache := wasm.NewLocalFileCache(directory, wasm.Options{
		PurgeInterval: time.Hour, ModuleExpiry: time.Hour,
		HTTPRequestTimeout: 10 * time.Second, HTTPRequestMaxRetries: 1,
	})
	options := wasm.GetOptions{ResourceName: "test", ResourceVersion: "1", RequestTimeout: 10 * time.Second}
	if len(args) > 1 {
		options.Checksum = args[1]
	}
	file, err := cache.Get(args[0], options)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fmt.Printf("module %x\n", sha256.Sum256(content))
	return nil
}

func template(args []string) error {
	chart, err := loader.Load(args[0])
	if err != nil {
		return err
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(args[2]), &values); err != nil {
		return err
	}
	release := common.ReleaseOptions{Name: "weir", Namespace: args[1]}
	merged, err := commonutil.ToRenderValues(chart, values, release, common.DefaultCapabilities)
	if err != nil {
		return err
	}
	files, err := engine.Render(chart, merged)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, crd := range chart.CRDObjects() {
		fmt.Printf("---\n%s\n", crd.File.Data)
	}
	for _, name := range names {
		fmt.Printf("---\n%s\n", files[name])
	}
	return nil
}
