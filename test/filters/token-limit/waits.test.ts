import { describe, expect, it } from "vitest";
import type { Exchange } from "../../host/worker.ts";
import {
  ask,
  chunk,
  counted,
  events,
  json,
  reportOf,
  says,
  stream,
  tokenProxy,
} from "./token-streams.ts";

const second = 1_000_000_000n;
const bytes = (text: string) => Buffer.from(text, "utf8");
/** Reports are two seconds apart at the most: a tick looks a second before one is sent. */
const waits = (report: ReturnType<typeof reportOf>) =>
  Object.fromEntries(Object.entries(counted(report)).filter(([name]) => name.startsWith("waited")));

describe("a request that waits", () => {
  it("is told while it waits, once for each time that it reaches", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    expect(waits(reportOf(proxy))).toEqual({});
    proxy.shared.nowNs += 4n * second;
    expect(waits(reportOf(proxy))).toEqual({ "waited 4s": 1 });
    expect(waits(reportOf(proxy))).toEqual({ "waited 4s": 1 });
    proxy.shared.nowNs += 300n * second;
    const all = {
      "waited 4s": 1,
      "waited 8s": 1,
      "waited 16s": 1,
      "waited 32s": 1,
      "waited 64s": 1,
      "waited 128s": 1,
    };
    expect(waits(reportOf(proxy))).toEqual(all);
    exchange.end();
    proxy.shared.nowNs += 300n * second;
    expect(waits(reportOf(proxy))).toEqual(all);
  });

  const begins: [string, boolean, (exchange: Exchange) => void][] = [
    ["nothing at all", true, () => {}],
    ["the headers of an answer", false, (it) => it.responseHeaders(json)],
    ["the whole answer", false, (it) => it.responseHeaders([[":status", "200"]], true)],
    ["an upgrade", false, (it) => it.responseHeaders([[":status", "101"]])],
    [
      "an early refusal",
      false,
      (it) =>
        it.responseHeaders([
          [":status", "400"],
          ["content-type", "application/json"],
        ]),
    ],
    [
      "a stream that cannot be read",
      false,
      (it) => it.responseHeaders([...events, ["content-encoding", "gzip"]]),
    ],
    ["the headers of a stream alone", true, (it) => it.responseHeaders(events)],
    [
      "a role without a token",
      true,
      (it) => {
        it.responseHeaders(events);
        it.responseBody(bytes(stream(chunk({ delta: { role: "assistant", content: "" } }))), false);
      },
    ],
    [
      "a first token",
      false,
      (it) => {
        it.responseHeaders(events);
        it.responseBody(bytes(stream(says("a"))), false);
      },
    ],
  ];
  it.each(begins)("having got %s: %s", (_, isWaiting, begin) => {
    const proxy = tokenProxy();
    begin(ask(proxy.worker));
    proxy.shared.nowNs += 5n * second;
    expect(waits(reportOf(proxy))).toEqual(isWaiting ? { "waited 4s": 1 } : {});
  });

  it("is told by variant and tenant, of all workers", () => {
    const proxy = tokenProxy(undefined, 3);
    for (const worker of proxy.workers)
      for (const variant of ["stable", "canary", "canary"])
        ask(worker, { "x-weir-variant": variant });
    proxy.shared.nowNs += 4n * second;
    const { counters } = reportOf(proxy);
    const of = (tenant: string) =>
      Object.fromEntries(
        counters
          .filter((each) => each.name === "waited" && each.tenant === tenant)
          .map(({ variant, value }) => [variant, Number(value)]),
      );
    expect(of("")).toEqual({ stable: 3, canary: 6 });
    expect(of("open")).toEqual({ stable: 3, canary: 6 });
  });

  it("is not told again by the worker that ends it late", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    proxy.shared.nowNs += 9n * second;
    reportOf(proxy);
    exchange.responseHeaders(events);
    exchange.responseBody(bytes(stream(says("a"))), true);
    proxy.shared.nowNs += 100n * second;
    expect(waits(reportOf(proxy))).toEqual({ "waited 4s": 1, "waited 8s": 1 });
  });
});
