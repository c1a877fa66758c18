import { fromJsonString } from "@bufbuild/protobuf";
import { type ReportRequest, ReportRequestSchema } from "../../../control/gen/weir/v1/report_pb.ts";
import type { Headers } from "../../host/header-map.ts";
import type { SharedState } from "../../host/proxy.ts";
import type { Exchange, Worker } from "../../host/worker.ts";
import { configuredProxy, requestHeaders } from "../module.ts";

/** A configuration of token-limit.wasm; edit its one route's policy. */
export function tokenConfig(edit: (policy: any) => void = () => {}): any {
  const policy = {
    identity: [{ header: "x-tenant-id" }],
    tiers: { gold: { tokensPerMinute: "60000" }, bronze: { tokensPerMinute: "600" }, free: {} },
    tenants: { acme: "gold", tiny: "bronze", open: "free" },
    default: "bronze",
    variants: ["stable", "canary"],
    expectedTokens: 256,
  };
  edit(policy);
  return {
    revision: "t1",
    routes: [{ name: "inference/chat", hosts: ["chat.example.com"], tokenLimit: policy }],
    report: { cluster: "weir_control", authority: "127.0.0.1:8080" },
  };
}

export function tokenProxy(edit?: (policy: any) => void, workers = 1) {
  const { shared, workers: started } = configuredProxy("token-limit", tokenConfig(edit), workers);
  return { shared, workers: started, worker: started[0] as Worker };
}

export const events: Headers = [
  [":status", "200"],
  ["content-type", "text/event-stream; charset=utf-8"],
];
export const lines: Headers = [
  [":status", "200"],
  ["content-type", "application/x-ndjson"],
];
export const json: Headers = [
  [":status", "200"],
  ["content-type", "application/json"],
];

/** A completion request of a tenant whom the canary sent to a variant. */
export function ask(worker: Worker, headers: Record<string, string> = {}): Exchange {
  return worker.exchange(
    requestHeaders({ "x-tenant-id": "open", "x-weir-variant": "stable", ...headers }),
  );
}

/** What the proxy would report now, all of it. */
export function reportOf({
  shared,
  workers,
}: {
  shared: SharedState;
  workers: Worker[];
}): ReportRequest {
  for (const worker of workers) worker.tick(1);
  // The reporter may have gone first: it merged before the others did.
  shared.nowNs += 1_000_000_000n;
  for (const worker of workers) worker.tick(1);
  return fromJsonString(ReportRequestSchema, shared.httpCalls.at(-1)?.body ?? "{}");
}

/** Counters of a report as "name label" -> value, summed over variants and tiers; tenants count in them already. */
export function counted(report: ReportRequest): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { name, label, value } of report.counters.filter(({ tenant }) => tenant === ""))
    sums[`${name} ${label}`] = (sums[`${name} ${label}`] ?? 0) + Number(value);
  return sums;
}

/** A distribution of a report: how many values, and the middle of the bucket of each. */
export function valuesIn(report: ReportRequest, wanted: string): number[] {
  const gamma = 1.02 / 0.98;
  return report.histograms
    .filter(({ name, tenant }) => name === wanted && tenant === "")
    .flatMap(({ index, count, zeros }) => [
      ...Array.from({ length: Number(zeros) }, () => 0),
      ...index.flatMap((bucket, i) =>
        Array.from(
          { length: Number(count[i]) },
          () => Math.round(((2 * gamma ** bucket) / (gamma + 1)) * 100) / 100,
        ),
      ),
    ]);
}

/** The chunk of a chat completion. */
export function chunk(choice: object | undefined, usage?: object | null): string {
  return JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "tiny",
    choices: choice ? [{ index: 0, ...choice }] : [],
    ...(usage === undefined ? {} : { usage }),
  });
}

export const says = (content: string) => chunk({ delta: { content }, finish_reason: null });
export const finishes = (reason: string) => chunk({ delta: {}, finish_reason: reason });
export const usage = (prompt: number, completion: number) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
});

/** Data of events as an event stream. */
export function stream(...data: string[]): string {
  return data.map((each) => `data: ${each}\n\n`).join("");
}
