"""Runs llama.cpp's own HTTP server on a port of 127.0.0.1 until its input ends.

usage: serve.py MODEL PORT [name=value ...]   (fields of llama.cpp's common parameters)
Prints "ready" once it listens.
"""
import sys

from xllamacpp import CommonParams, Server

params = CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[2])
params.model_alias = {"tiny"}
params.n_ctx = 4096
params.n_parallel = 4
params.cpuparams.n_threads = 1
params.n_gpu_layers = 0
params.endpoint_metrics = True
params.endpoint_slots = True
params.use_jinja = True
params.warmup = False
params.verbosity = 0
for setting in sys.argv[3:]:
    name, _, value = setting.partition("=")
    setattr(params, name, type(getattr(params, name))(int(value)))
server = Server(params)
print("ready", flush=True)
sys.stdin.read()
