import type { Buffer } from "node:buffer";
import { type Headers, valuesOf } from "../../host/header-map.ts";
import { type Got, type Head, type Sending, startClient } from "./client.ts";
import { type Arrival, startPods } from "./pods.ts";
import { type Kind, type Seen, startWatch, type Watch } from "./watch.ts";
import { startWatchedEnvoy, type Watched } from "./watched-envoy.ts";

/** A body as it is sent, each piece once the one before has come to the filter. */
export interface Body {
  pieces: Buffer[];
  /** The last piece also ends the stream, where there are no trailers. */
  endsWithPiece?: boolean;
  trailers?: Headers;
}

/** One request and the answer of the pods to it. */
export interface Exchanged extends Omit<Head, "trails"> {
  /** Of its own; the pods know it by that. */
  name: string;
  body: Body;
  answer: Body & { status: number; headers: Headers };
}

/** A request that the pods have, or that was answered before it got there. */
export interface Begun {
  context: number;
  /** Has the pods answer and waits until the stream is over. */
  finish(): Promise<Played>;
  /** The client goes away instead. */
  leave(): Promise<void>;
}

/** Both ends of an exchange that is over. */
export interface Played {
  got: Got;
  /** What came to the pods; undefined where the filter answered. */
  arrived: Arrival | undefined;
}

export interface Stage {
  begin(listener: string, exchange: Exchanged): Promise<Begun>;
  /** What the filter reports once all that it counted is in it. */
  report(listener: string): Promise<string>;
  /** All that the recorders beside a filter saw on the thread that has its streams. */
  seenAt(listener: string): Seen[];
  stop(): Promise<void>;
}

/** Sums up what the recorders saw of one stream, for those who wait. */
function streamAt(watch: Watch, listener: string, context: number) {
  const of = (side: Seen["side"], kind: Kind) =>
    watch.seen.filter(
      (each) =>
        each.listener === listener &&
        each.context === context &&
        each.side === side &&
        each.kind === kind,
    );
  const bytes = (side: Seen["side"], kind: Kind) =>
    of(side, kind).reduce((sum, each) => sum + each.bytes.length, 0);
  const ended = (side: Seen["side"], way: "request" | "response") =>
    (["headers", "body", "trailers"] as const).some((part) =>
      of(side, `${way} ${part}`).some(({ last }) => last),
    );
  return {
    bytes,
    ended,
    answered: () => of("front", "response headers").length > 0,
    over: () => of("front", "end").length > 0,
    until: (what: string, ready: () => boolean) =>
      watch.until(`${what} of stream ${context} at ${listener}`, () => ready() || undefined),
  };
}

/** Starts an Envoy with the filters, its clients and its pods. */
export async function startStage(filters: Record<string, Watched>): Promise<Stage> {
  const watch = await startWatch();
  const pods = await startPods(watch.look);
  const envoy = await startWatchedEnvoy(filters, pods, watch.port);
  const clients = Object.fromEntries(
    Object.entries(envoy.ports).map(([name, port]) => [name, startClient(port)]),
  );
  return {
    async begin(listener, exchange) {
      const from = watch.seen.length;
      const headers: Headers = [
        ["x-case", exchange.name],
        ["x-pods", exchange.protocol],
        ...exchange.headers,
      ];
      const sending = clients[listener]?.send({
        ...exchange,
        headers,
        trails: (exchange.body.trailers ?? []).length > 0,
      }) as Sending;
      const first = await watch.until(`request ${exchange.name}`, () =>
        watch.seen
          .slice(from)
          .find(
            ({ kind, headers: given }) =>
              kind === "request headers" && valuesOf(given, "x-case").includes(exchange.name),
          ),
      );
      const stream = streamAt(watch, listener, first.context);
      await sendBody(exchange, sending, stream);
      await stream.until(
        "an arrival or an answer",
        () => pods.arrivals.has(exchange.name) || stream.answered(),
      );
      const arrived = pods.arrivals.get(exchange.name);
      return {
        context: first.context,
        async finish() {
          if (arrived) await answer(exchange.answer, arrived, stream);
          const got = await sending.got;
          await stream.until("end", stream.over);
          return { got, arrived };
        },
        async leave() {
          sending.leave();
          await stream.until("end", stream.over);
        },
      };
    },
    report(listener) {
      const before = watch.reports.get(listener)?.count ?? 0;
      // The worker that reports may tick before the one that counted.
      return watch.until(`reports of ${listener}`, () => {
        const { text = "", count = 0 } = watch.reports.get(listener) ?? {};
        return count >= before + 2 ? text : undefined;
      });
    },
    seenAt(listener) {
      const all = watch.seen.filter((each) => each.listener === listener);
      const thread = all.find(({ kind }) => kind !== "tick")?.thread;
      return all.filter((each) => each.thread === thread);
    },
    async stop() {
      for (const client of Object.values(clients)) client.stop();
      await envoy.stop();
      await pods.stop();
      await watch.stop();
    },
  };
}

type Stream = ReturnType<typeof streamAt>;

async function sendBody({ method, body }: Exchanged, sending: Sending, stream: Stream) {
  if (method === "GET") return;
  const { pieces, endsWithPiece = false, trailers = [] } = body;
  let sent = 0;
  for (const piece of endsWithPiece ? pieces.slice(0, -1) : pieces) {
    if (stream.answered()) return;
    sending.write(piece);
    sent += piece.length;
    await stream.until(
      `${sent} bytes of the request`,
      () => stream.bytes("front", "request body") >= sent || stream.answered(),
    );
  }
  if (stream.answered()) return;
  sending.end(endsWithPiece ? pieces.at(-1) : undefined, trailers);
  await stream.until(
    "the request's end",
    () => stream.ended("front", "request") || stream.answered(),
  );
}

async function answer(wanted: Exchanged["answer"], { res }: Arrival, stream: Stream) {
  const { pieces, endsWithPiece = false, trailers = [] } = wanted;
  const headers: Record<string, string | string[]> = {};
  for (const [key, value] of wanted.headers) {
    const before = headers[key];
    headers[key] = before === undefined ? value : [before, value].flat();
  }
  // Node's types tell the two protocols apart where their methods are alike.
  const out = res as import("node:http").ServerResponse;
  out.sendDate = false;
  out.writeHead(wanted.status, headers);
  out.flushHeaders();
  let sent = 0;
  for (const piece of endsWithPiece ? pieces.slice(0, -1) : pieces) {
    out.write(piece);
    sent += piece.length;
    await stream.until(
      `${sent} bytes of the answer`,
      () => stream.bytes("behind", "response body") >= sent || stream.over(),
    );
  }
  if (trailers.length > 0) out.addTrailers(Object.fromEntries(trailers));
  out.end(endsWithPiece ? pieces.at(-1) : undefined);
}
