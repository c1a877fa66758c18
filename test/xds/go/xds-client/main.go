// xds-client drives the state-of-the-world client of go-control-plane and
// grpc-go's incremental stubs against a server, and prints what it saw as JSON.
//
//	xds-client ADDRESS sotw|delta
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	sotw "github.com/envoyproxy/go-control-plane/pkg/client/sotw/v3"
	resource "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func must[T any](value T, err error) T {
	if err != nil {
		fail(err)
	}
	return value
}

// revisions reads the clusters of a response: what each is called and says.
func revisions(resources []*anypb.Any) map[string]string {
	found := map[string]string{}
	for _, each := range resources {
		var message cluster.Cluster
		if err := each.UnmarshalTo(&message); err != nil {
			fail(err)
		}
		found[message.Name] = message.AltStatName
	}
	return found
}

// step prints what was seen and waits until the other side has reacted.
func step(seen any) {
	fmt.Println(string(must(json.Marshal(seen))))
	if _, err := fmt.Scanln(); err != nil && err != io.EOF {
		// An empty line is what is waited for.
		return
	}
}

func runSotw(ctx context.Context, conn *grpc.ClientConn) {
	client := sotw.NewADSClient(ctx, &core.Node{Id: "go"}, resource.ClusterType)
	if err := client.InitConnect(conn); err != nil {
		fail(err)
	}
	step(revisions(must(client.Fetch()).Resources))
	if err := client.Ack(); err != nil {
		fail(err)
	}
	step("accepted")
	step(revisions(must(client.Fetch()).Resources))
	if err := client.Nack("not this one"); err != nil {
		fail(err)
	}
	step("refused")
	step(revisions(must(client.Fetch()).Resources))
	if err := client.Ack(); err != nil {
		fail(err)
	}
	step("accepted")
	_, err := client.Fetch()
	step(status.Code(err).String())
}

func runDelta(ctx context.Context, conn *grpc.ClientConn) {
	client := discovery.NewAggregatedDiscoveryServiceClient(conn)
	zipped := must(client.DeltaAggregatedResources(ctx, grpc.UseCompressor(gzip.Name)))
	_ = zipped.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "go"}, TypeUrl: resource.ClusterType})
	_, err := zipped.Recv()
	step(status.Code(err).String())

	stream := must(client.DeltaAggregatedResources(ctx))
	receive := func() map[string]any {
		response := must(stream.Recv())
		var resources []*anypb.Any
		for _, each := range response.Resources {
			resources = append(resources, each.Resource)
		}
		if err := stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: response.TypeUrl, ResponseNonce: response.Nonce}); err != nil {
			fail(err)
		}
		return map[string]any{"resources": revisions(resources), "removed": response.RemovedResources}
	}
	send := func(request *discovery.DeltaDiscoveryRequest) {
		request.TypeUrl = resource.ClusterType
		if err := stream.Send(request); err != nil {
			fail(err)
		}
	}
	send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "go"}, ResourceNamesSubscribe: []string{"*", "a", "gone"}})
	step(receive())
	send(&discovery.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: []string{"a"}})
	step(receive())
	send(&discovery.DeltaDiscoveryRequest{ResponseNonce: "stale", ResourceNamesSubscribe: []string{"b"}})
	step(receive())
	step(receive())
	if err := stream.CloseSend(); err != nil {
		fail(err)
	}
	_, err = stream.Recv()
	if err == io.EOF {
		step(codes.OK.String())
	} else {
		step(err.Error())
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn := must(grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials())))
	if os.Args[2] == "sotw" {
		runSotw(ctx, conn)
	} else {
		runDelta(ctx, conn)
	}
}
