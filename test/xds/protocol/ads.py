"""Speaks ADS through grpcio, in the bytes that it is given.

Each line on stdin is a command in JSON, each on stdout what came of it:
  {"open": ID, "port": PORT, "method": METHOD, "compress": false}
  {"send": ID, "bytes": HEX}   {"half": ID}   {"cancel": ID}
  -> {"id": ID, "bytes": HEX}   {"id": ID, "status": "OK", "details": ""}
"""

import json
import queue
import sys
import threading

import grpc

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
lock = threading.Lock()
streams = {}


def say(what):
    with lock:
        print(json.dumps(what), flush=True)


def same(message):
    return message


def follow(name, call):
    try:
        for message in call:
            say({"id": name, "bytes": message.hex()})
    except grpc.RpcError:
        pass
    say({"id": name, "status": call.code().name, "details": call.details() or ""})


def begin(name, command):
    options = [("grpc.use_local_subchannel_pool", 1)]
    zipped = grpc.Compression.Gzip if command.get("compress") else None
    channel = grpc.insecure_channel(f"127.0.0.1:{command['port']}", options=options)
    method = channel.stream_stream(SERVICE + command["method"], same, same)
    requests = queue.Queue()
    call = method(iter(requests.get, None), compression=zipped)
    streams[name] = (requests, call)
    threading.Thread(target=follow, args=(name, call), daemon=True).start()


for line in sys.stdin:
    command = json.loads(line)
    if "open" in command:
        begin(command["open"], command)
    elif "send" in command:
        streams[command["send"]][0].put(bytes.fromhex(command["bytes"]))
    elif "half" in command:
        streams[command["half"]][0].put(None)
    else:
        streams[command["cancel"]][1].cancel()
