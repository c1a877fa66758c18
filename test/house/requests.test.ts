import { type DescField, type DescMethod, fromJson, toJson } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { file_weir_v1_peer } from "../../control/gen/weir/v1/peer_pb.ts";
import { file_weir_v1_report } from "../../control/gen/weir/v1/report_pb.ts";
import { file_weir_v1_rollout } from "../../control/gen/weir/v1/rollout_pb.ts";
import { file_weir_v1_service } from "../../control/gen/weir/v1/service_pb.ts";
import { file_weir_v1_signals } from "../../control/gen/weir/v1/signals_pb.ts";
import { learningMs } from "../../control/report/index.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { type Call, pairs } from "./request-pairs.ts";

// Every field of every request is given and left out, on two services in the same state: what is
// answered, or what the service holds afterwards, has to differ.

const methods = [
  file_weir_v1_service,
  file_weir_v1_rollout,
  file_weir_v1_report,
  file_weir_v1_signals,
  file_weir_v1_peer,
].flatMap(({ services }) => services.flatMap((service) => service.methods));

/** What a report holds is what filters say; routes and rollouts have tests of their own. */
const described = ["ReportRequest", "Counter", "Histogram", "Need"];

/** Fields of requests, as Method.field or Message.field. */
function fieldsOf({ name, input }: DescMethod): string[] {
  const below = (field: DescField): string[] =>
    field.message && described.includes(field.message.name)
      ? field.message.fields.map((each) => `${field.message?.name}.${each.jsonName}`)
      : [];
  return input.fields.flatMap((field) => [`${name}.${field.jsonName}`, ...below(field)]);
}

/** What is answered: the error, and of a watch what it tells first. */
async function ask(baseUrl: string, [name, json]: Call): Promise<unknown> {
  const method = methods.find((each) => each.name === name);
  if (method === undefined) throw new Error(`there is no call ${name}`);
  const transport = createConnectTransport({ baseUrl, httpVersion: "2" });
  const client = createClient(method.parent, transport) as unknown as Record<
    string,
    (request: unknown, options?: object) => unknown
  >;
  const call = client[method.localName];
  if (call === undefined) throw new Error(`there is no call ${name}`);
  const request = fromJson(method.input, json as never);
  const shown = (message: unknown) => toJson(method.output, message as never);
  try {
    if (method.methodKind !== "server_streaming") return shown(await call(request));
    return await firstOf(call(request) as AsyncIterable<unknown>, shown);
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return { code, rawMessage };
  }
}

async function firstOf(watch: AsyncIterable<unknown>, shown: (message: unknown) => unknown) {
  for await (const message of watch) return shown(message);
  return "nothing";
}

const always = [
  ["ListRoutes", {}],
  ["ListRollouts", {}],
  ["ListAudit", {}],
  ["ListProxies", {}],
  ["ListSignals", {}],
] as const satisfies Call[];

/** What a rollout waits for, times and rates are another each time. */
const timeless = (value: unknown) =>
  JSON.stringify(value, (_key, each) => (each?.state?.rollout ? { state: each.state } : each))
    .replace(/"\d{4}-\d\d-\d\dT[^"]*Z"/g, '"then"')
    .replace(/"(requestsPerSecond|[a-z]+PerSecond)":[\d.e-]+/g, '"$1":0');

/** Until shares are given of a route that was stored: it is published a moment later. */
async function untilShared(url: string): Promise<void> {
  const needs = [{ route: "inference/chat", tenant: "globex", wanted: "1", intervalNs: "1000000" }];
  for (;;) {
    const { leases } = (await ask(url, ["Report", { node: "edge-0", needs }])) as { leases?: [] };
    if (leases) return;
  }
}

/** What is answered to a call in a state, and what the service holds afterwards. */
async function outcome(before: readonly Call[], call: Call, early = false): Promise<string> {
  let nowMs = 0;
  const server = await startQuietServer({ podMetrics: true, monotonicMs: () => nowMs });
  try {
    const url = urlOf(server);
    for (const each of before) {
      if ("needs" in each[1]) await untilShared(url);
      await ask(url, each);
    }
    if ("needs" in call[1] || "saturations" in call[1]) await untilShared(url);
    // Until then the service gives proxies no shares that they have not.
    if (!early) nowMs += learningMs;
    const answer = await ask(url, call);
    const held = [];
    for (const each of always) held.push(await ask(url, each));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const reported = metrics.split("\n").filter((line) => /^weir_.*route=/.test(line));
    return timeless([answer, held, reported]);
  } finally {
    await server.close();
  }
}

it("every field of every request has a pair of calls, with it and without", () => {
  expect(Object.keys(pairs).sort()).toEqual([...new Set(methods.flatMap(fieldsOf))].sort());
});

describe("given or not makes a difference:", () => {
  it.each(Object.entries(pairs))("%s", async (field, { before = [], call, without }) => {
    // What a proxy holds already is asked for only while shares are not given anew.
    const early = field === "Need.intervalNs";
    const given = await outcome(before, call, early);
    expect(await outcome(before, call, early), "the same twice").toBe(given);
    expect(await outcome(before, [call[0], without], early)).not.toBe(given);
  });
});
