// Command discovery serves Istio's own xDS, made by Istio's own translation and
// push code, from objects in YAML files:
//
//	discovery FILE...
//
// It prints "ready" and the address it listens on, then waits for lines on standard input:
// "apply FILE" adds or replaces the objects of a file, "delete FILE" takes them
// away; each is answered with "done" or "error: ...". It ends with its input.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
)

func main() {
	if err := test.Wrap(serve); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func serve(t test.Failer) {
	var objects []string
	for _, file := range os.Args[1:] {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, string(text))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		ConfigString:    strings.Join(objects, "\n---\n"),
		MeshConfig:      meshConfig(),
		ListenerBuilder: func() (net.Listener, error) { return listener, nil },
	})
	fmt.Println("ready", listener.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := obey(server, lines.Text()); err != nil {
			fmt.Println("error:", err)
			continue
		}
		fmt.Println("done")
	}
}

// meshConfig leaves out what only Istio's own build of Envoy understands.
func meshConfig() *meshconfig.MeshConfig {
	m := mesh.DefaultMeshConfig()
	m.EnableAutoMtls = wrapperspb.Bool(false)
	m.ProtocolDetectionTimeout = durationpb.New(0)
	m.DefaultProviders = &meshconfig.MeshConfig_DefaultProviders{}
	return m
}

func obey(server *xds.FakeDiscoveryServer, line string) error {
	verb, file, _ := strings.Cut(line, " ")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	configs, _, err := crd.ParseInputs(string(text))
	if err != nil {
		return err
	}
	for _, each := range configs {
		// What the API server's client sets; short host names are completed with it.
		each.Domain = "cluster.local"
		if err := store(server, verb, each); err != nil {
			return fmt.Errorf("%s %s/%s: %w", each.GroupVersionKind.Kind, each.Namespace, each.Name, err)
		}
	}
	return nil
}

func store(server *xds.FakeDiscoveryServer, verb string, object config.Config) error {
	before := server.Store().Get(object.GroupVersionKind, object.Name, object.Namespace)
	switch {
	case verb == "delete" && before != nil:
		return server.Store().Delete(object.GroupVersionKind, object.Name, object.Namespace, nil)
	case verb == "apply" && before == nil:
		_, err := server.Store().Create(object)
		return err
	case verb == "apply":
		object.ResourceVersion = before.ResourceVersion
		_, err := server.Store().Update(object)
		return err
	case verb == "delete":
		return nil
	}
	return fmt.Errorf("unknown verb %q", verb)
}
