import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createLog, sparse } from "../../control/telemetry/index.ts";
import { freePorts } from "../free-ports.ts";

describe("the log", () => {
  const written = (format: "text" | "json") => {
    const lines: string[] = [];
    const log = createLog({ format, to: { write: (line: string) => void lines.push(line) } });
    return { ...log, lines };
  };
  it("is text for people", () => {
    const { log, lines } = written("text");
    log("gateway-1 refused ECDS 7: no", "xds-nack");
    expect(lines).toEqual(["gateway-1 refused ECDS 7: no\n"]);
  });
  it("shows a proxy's words on one line, and sends a terminal nothing of theirs", () => {
    const { log, lines } = written("text");
    log("edge refused CDS 7: \u001b[2J\nedge-2 is in sync\u202e", "xds-nack");
    expect(lines).toEqual(["edge refused CDS 7: \\u001b[2J\\nedge-2 is in sync\\u202e\n"]);
  });
  it("is one object per line for programs, with a code", () => {
    const { log, lines } = written("json");
    log("started");
    log("gateway-1 refused ECDS 7: no\nand more", "xds-nack");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: "info", msg: "started" },
      { level: "warn", msg: "gateway-1 refused ECDS 7: no\nand more", code: "xds-nack" },
    ]);
  });
  it("says what comes a thousand times in a second in two lines, and the next one at once again", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const lines: string[] = [];
    const log = sparse((line, code) => void lines.push(`${code} ${line}`), 50);
    for (let i = 1; i <= 1_000; i++) log(`edge-${i} refused it`, "xds-nack");
    expect(lines).toEqual(["xds-nack edge-1 refused it"]);
    vi.advanceTimersByTime(50);
    expect(lines[1]).toBe("xds-nack edge-1000 refused it (and 998 more like it)");
    vi.advanceTimersByTime(50);
    log("edge-1 refused it", "xds-nack");
    expect(lines).toHaveLength(3);
  });
  it("keeps secrets to itself", () => {
    const { logger, lines } = written("json");
    logger?.info({ authorization: "Bearer s3cret", request: { token: "s3cret" } }, "call");
    expect(lines.join("")).not.toContain("s3cret");
  });
});

/** The spans a collector was sent, as OTLP's JSON has them. */
interface Spans {
  resourceSpans: {
    scopeSpans: { spans: { name: string; traceId: string; parentSpanId?: string }[] }[];
  }[];
}

describe("a call of weir serve", () => {
  let stop: (() => Promise<void>) | undefined;
  afterEach(() => stop?.());

  it("is a span of the caller's trace at the collector, and a line with the trace's id", async () => {
    const spans: Spans["resourceSpans"][number]["scopeSpans"][number]["spans"] = [];
    const collector = createServer(async (req, res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const text = req.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
      for (const { scopeSpans } of (JSON.parse(text.toString()) as Spans).resourceSpans)
        spans.push(...scopeSpans.flatMap((scope) => scope.spans));
      res.end("{}");
    });
    await new Promise<void>((done) => collector.listen(0, "127.0.0.1", done));
    const [api, xds] = await freePorts(2);
    const child = spawn(
      process.execPath,
      ["dist/control/main.js", "serve", "--store", "memory", "--log-format", "json"].concat(
        ...["--listen", `127.0.0.1:${api}`, "--xds", `127.0.0.1:${xds}`],
      ),
      {
        stdio: ["ignore", "ignore", "pipe"],
        env: {
          ...process.env,
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
        },
      },
    );
    let log = "";
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk;
    });
    const ended = new Promise<void>((done) => child.on("exit", () => done()));
    stop = async () => {
      child.kill("SIGKILL");
      await ended;
      collector.closeAllConnections();
      collector.close();
    };
    await expect.poll(() => log, { timeout: 30_000 }).toContain("API and page on");
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const answer = await fetch(`http://127.0.0.1:${api}/weir.v1.RouteService/DeleteRoute`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        traceparent: `00-${traceId}-b7ad6b7169203331-01`,
        authorization: "Bearer s3cret",
      },
      body: JSON.stringify({ name: "nowhere" }),
    });
    expect(answer.status).toBe(404);
    child.kill("SIGTERM");
    await ended;
    expect(spans).toMatchObject([
      { name: "RouteService/DeleteRoute", traceId, parentSpanId: "b7ad6b7169203331" },
    ]);
    const line = log
      .split("\n")
      .filter(Boolean)
      .map((each) => JSON.parse(each) as Record<string, unknown>)
      .find(({ msg }) => msg === "call");
    expect(line).toMatchObject({ method: "RouteService/DeleteRoute", code: "not_found", traceId });
    expect(log).not.toContain("s3cret");
  });
});
