// One of two servers for the same clients, in a process of its own: Weir's xDS
// server, or a raw node:http2 server that writes one pre-encoded frame per stream.
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { RouteStateSchema } from "#control/gen/weir/v1/service_pb.js";
import { draftRoute, filterConfig, filterConfigText, parseRoutes } from "#control/route/index.js";
import { createHttp2Server } from "#control/service/ports/listen.js";
import { sotwResponse } from "#control/xds/encode.js";
import {
  buildResources,
  createFleet,
  createSnapshot,
  createXdsServer,
} from "#control/xds/index.js";

const [kind] = process.argv.slice(2);
const wasm = { bytes: readFileSync("build/weir.wasm") };
const address = { host: "127.0.0.1", port: 1 };

/** @param {number} canary */
function snapshotWith(canary) {
  const [route] = parseRoutes(readFileSync("examples/canary/route.yaml", "utf8")).routes;
  if (!route?.spec) throw new Error("the example is not right");
  const [stable, other] = route.spec.variants;
  if (stable && other) [stable.weight, other.weight] = [100 - canary, canary];
  const states = [create(RouteStateSchema, { ...draftRoute(route, undefined), etag: "1" })];
  const config = filterConfigText(filterConfig(states), "weir");
  return createSnapshot(
    buildResources(states, { gateway: address, report: address, weir: { wasm, config } }),
  );
}
const [first, second] = [snapshotWith(10), snapshotWith(20)];
const rdsUrl = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

const http2 = createHttp2Server();
http2.on("session", (session) => session.on("error", () => session.destroy()));
let pushes = 0;
// Proxies acknowledge each push once: the last one ends it.
let open = 0;
let owed = 0;
function acked() {
  if (--owed === 0) process.send?.("acked");
}
/** @type {(i: number) => void} */
let push;
if (kind === "raw") {
  /** @type {Set<import("node:http2").ServerHttp2Stream>} */
  const streams = new Set();
  const frames = [first, second].map(({ RDS }) =>
    sotwResponse(rdsUrl, RDS.version, "1", RDS.resources.values()),
  );
  http2.on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.on("error", () => {});
    // Requests are so short that each comes in one piece: the first subscribes, the others acknowledge.
    stream.on("data", acked);
    stream.on("close", () => streams.delete(stream));
    streams.add(stream);
    open++;
    stream.write(frames[0]);
  });
  push = (i) => {
    for (const stream of streams) stream.write(frames[i]);
  };
} else {
  const fleet = createFleet();
  const counting = {
    ...fleet,
    /** @type {typeof fleet.connected} */
    connected(node, resumes) {
      open++;
      const stream = fleet.connected(node, resumes);
      return {
        ...stream,
        acked(type, version) {
          stream.acked(type, version);
          acked();
        },
      };
    },
  };
  const xds = createXdsServer(counting, { nack: () => {} });
  http2.on("stream", (stream, headers) => void xds.handle(stream, headers));
  xds.publish(first);
  push = (i) => xds.publish(i % 2 === 0 ? first : second);
}
http2.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  const bound = http2.address();
  process.send?.({ port: typeof bound === "object" ? bound?.port : 0 });
});
process.on("message", (message) => {
  if (message === "push") {
    owed = open;
    push(++pushes % 2);
  }
  if (message === "memory") {
    globalThis.gc?.();
    process.send?.({
      rss: process.memoryUsage().rss,
      cpuUs: process.cpuUsage().user + process.cpuUsage().system,
    });
  }
});
process.on("disconnect", () => process.exit(0));
