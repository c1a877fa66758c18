"""A gRPC client of ADS that was not written for this server: opens streams and closes its channel.

usage: foreign.py PORT STREAMS ANSWERED(0|1) [CA FILE]
Prints "open" once all are open, closes the channel, opens another one and prints "again".
"""
import sys
import threading

import grpc

port, streams, answered = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1"
method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"


def channel():
    if len(sys.argv) < 5:
        return grpc.insecure_channel(f"127.0.0.1:{port}")
    with open(sys.argv[4], "rb") as file:
        return grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(file.read()))


def call(on, done):
    def requests():
        done.wait()
        yield from ()

    return on.stream_stream(
        method, request_serializer=lambda each: each, response_deserializer=lambda each: each
    )(requests())


def open_all(on, done):
    calls = [call(on, done) for _ in range(streams)]
    if answered:
        for each in calls:
            each.initial_metadata()
    return calls


done = threading.Event()
first = channel()
calls = open_all(first, done)
print("open", flush=True)
for each in calls:
    each.cancel()
first.close()
second = channel()
answered = True
streams = 10
calls = open_all(second, done)
print("again", flush=True)
done.set()
second.close()
