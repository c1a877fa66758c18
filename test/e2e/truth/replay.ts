import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { Headers } from "../../host/header-map.ts";
import { answerTo } from "../../host/local-reply.ts";
import { createSharedState } from "../../host/proxy.ts";
import { type Exchange, startWorker } from "../../host/worker.ts";
import type { Kind, Seen } from "./watch.ts";
import { configOf, type Watched } from "./watched-envoy.ts";

/** What a filter lets go on, or answers. */
export interface Effect {
  kind: Kind;
  last: boolean;
  headers: Headers;
  /** Bytes of a body as latin1. */
  body: string;
}

/** One callback, with what came of it in Envoy and in the emulated host. */
export interface Replayed {
  context: number;
  given: Seen;
  envoy: Effect[];
  emulated: Effect[];
}

const isInput = ({ side, kind }: Seen) =>
  kind !== "end" && kind !== "tick" && side === (kind.startsWith("request") ? "front" : "behind");

const effectOf = ({ kind, last, headers, bytes }: Seen): Effect => ({
  kind,
  last,
  headers,
  body: bytes.toString("latin1"),
});

/** A stream in the emulated host. */
interface Stream {
  exchange: Exchange;
  request: Headers;
  /** Whether the filter's own answer is out. */
  answered: boolean;
}

/** What came of the callbacks, and what the filter reports then. */
interface Run {
  callbacks: Replayed[];
  report: string;
}

/** Beyond so many guesses at when a filter ticked, its effects are not Envoy's. */
const maxGuesses = 40;

/**
 * Gives the emulated host what the filter in Envoy was given, in the same order
 * and at the same time. When the filter itself ticked is not seen: some time
 * between the recorders beside it, so that it is tried where it makes a difference.
 */
export function replay(watched: Watched, name: string, seen: Seen[]): Run {
  const ticks = placesOfTicks(seen);
  const chosen = ticks.map(() => 0);
  const guess = () => runAt(watched, name, seen, new Set(ticks.map((at, i) => at[chosen[i] ?? 0])));
  const first = guess();
  let latest = first;
  for (let i = 0; i < maxGuesses; i++) {
    const wrong = latest.callbacks.find((each) => !isDeepStrictEqual(each.envoy, each.emulated));
    if (wrong === undefined) return latest;
    // The last tick before what is wrong goes to its next place; those without one to their first.
    let tick = ticks.findLastIndex(([at]) => (at ?? 0) < seen.indexOf(wrong.given));
    while (tick >= 0 && chosen[tick] === (ticks[tick]?.length ?? 1) - 1) chosen[tick--] = 0;
    if (tick < 0) break;
    chosen[tick] = (chosen[tick] ?? 0) + 1;
    latest = guess();
  }
  return first;
}

/** Where each tick may have been: with the recorder's in front, after each stream that ended, with the one's behind. */
function placesOfTicks(seen: Seen[]): number[][] {
  return seen.flatMap((tick, from) => {
    if (tick.kind !== "tick" || tick.side !== "front") return [];
    const to = seen.findIndex(
      ({ kind, side }, i) => i > from && kind === "tick" && side === "behind",
    );
    const ends = seen.flatMap(({ kind, side }, i) =>
      i > from && i < to && kind === "end" && side === "front" ? [i] : [],
    );
    return [[from, ...ends, ...(to < 0 ? [] : [to])]];
  });
}

function runAt(watched: Watched, name: string, seen: Seen[], ticks: Set<number | undefined>): Run {
  // A refusal tells when it was made, which is some time between what was seen before and after it.
  const refusals = new Map<number, bigint>();
  // How far a stream's clock may be off from Envoy's by now: each callback read it a little later.
  let slackNs = 1_000_000n;
  run(watched, name, seen, ticks, (at, envoy, again) => {
    const fromNs = seen[at]?.timeNs ?? 0n;
    const untilNs = outcomeOf(seen, at)[0]?.timeNs ?? fromNs;
    if (untilNs - fromNs > slackNs) slackNs = untilNs - fromNs;
    for (let ns = fromNs - slackNs; ns <= untilNs + slackNs; ns += 250_000n) {
      if (!isDeepStrictEqual(again(ns), envoy)) continue;
      refusals.set(at, ns);
      return;
    }
  });
  return run(watched, name, seen, ticks, () => {}, refusals);
}

/** Looks for the time of a refusal that is not as Envoy's was. */
type Search = (at: number, envoy: Effect[], again: (ns: bigint) => Effect[]) => void;

function run(
  { file, config }: Watched,
  name: string,
  seen: Seen[],
  ticks: ReadonlySet<number | undefined>,
  search: Search,
  times: ReadonlyMap<number, bigint> = new Map(),
): Run {
  const shared = createSharedState();
  // The first tick comes a second after the configuration.
  shared.nowNs = (seen.find(({ kind }) => kind === "tick")?.timeNs ?? 0n) - 1_000_000_000n;
  const worker = startWorker(new WebAssembly.Module(readFileSync(file)), shared, "");
  if (!worker.configure(1, JSON.stringify(configOf(name, config)), name))
    throw new Error(shared.log.map(({ message }) => message).join("; "));
  const streams = new Map<number, Stream>();
  const begin = ({ context, headers, last }: Seen, ns: bigint): Effect[] => {
    shared.nowNs = ns;
    const properties = { plugin_name: name, "source.address": "127.0.0.1:1" };
    const exchange = worker.exchange(headers, last, properties, context);
    const stream = { exchange, request: headers, answered: false };
    streams.set(context, stream);
    return effectsOf(stream, "request headers", last, exchange.requestHeaders);
  };
  const callbacks = seen.flatMap((given, at): Replayed[] => {
    const { context, kind, side, timeNs } = given;
    shared.nowNs = timeNs;
    if (kind === "end" && side === "front") streams.get(context)?.exchange.end();
    if (ticks.has(at)) worker.tick(1);
    if (!isInput(given)) return [];
    const envoy = outcomeOf(seen, at).map(effectOf);
    if (kind !== "request headers")
      return [{ context, given, envoy, emulated: goOn(streams.get(context), given) }];
    const emulated = begin(given, times.get(at) ?? timeNs);
    if (isAnswer(emulated) && !isDeepStrictEqual(emulated, envoy))
      search(at, envoy, (ns) => begin(given, ns));
    return [{ context, given, envoy, emulated }];
  });
  worker.tick(1);
  return { callbacks, report: shared.httpCalls.at(-1)?.body ?? "" };
}

const isAnswer = ([first]: Effect[]) => first?.kind.startsWith("response") === true;

/**
 * What came out of the filter before it was given more of the same stream. An
 * answer of the filter's own passes those behind it first, where they know of the
 * stream, and then comes back to the filter as if it were the pods'.
 */
function outcomeOf(seen: Seen[], at: number): Seen[] {
  const given = seen[at] as Seen;
  const later = seen
    .slice(at + 1)
    .filter(({ context, kind }) => context === given.context && kind !== "end");
  const end = later.findIndex(isInput);
  const outcome = end < 0 ? later : later.slice(0, end);
  const isOwn = given.kind.startsWith("request") && outcome.length === 0;
  if (!isOwn || !later[end]?.kind.startsWith("response")) return outcome;
  return later.filter(({ side, kind }) => side === "behind" && kind.startsWith("response"));
}

/** The next callback of a stream. */
function goOn(stream: Stream | undefined, { kind, last, headers, bytes }: Seen): Effect[] {
  if (stream === undefined) return [];
  const { exchange } = stream;
  const piece = Buffer.from(bytes);
  switch (kind) {
    case "request body":
      return effectsOf(stream, kind, last, [], exchange.requestBody(piece, last));
    case "request trailers":
      return effectsOf(stream, kind, last, exchange.requestTrailers(headers));
    case "response headers":
      return effectsOf(stream, kind, last, exchange.responseHeaders(headers, last));
    case "response body":
      return effectsOf(stream, kind, last, [], exchange.responseBody(piece, last));
    default:
      return effectsOf(stream, kind, last, exchange.responseTrailers(headers));
  }
}

function effectsOf(
  stream: Stream,
  kind: Kind,
  last: boolean,
  headers: Headers,
  body: Buffer = Buffer.alloc(0),
): Effect[] {
  const { exchange, request } = stream;
  const reply = exchange.reply();
  if (reply === undefined || stream.answered)
    return exchange.stopped() ? [] : [{ kind, last, headers, body: body.toString("latin1") }];
  stream.answered = true;
  const answer = answerTo(request, reply);
  const bytes = Buffer.from(answer.body, "latin1");
  const isWhole = bytes.length === 0;
  // Those behind the filter have heard of the stream only once its headers went on.
  if (kind !== "request headers") return answerOf(answer.headers, isWhole, bytes);
  const passed = exchange.responseHeaders(answer.headers, isWhole);
  return answerOf(passed, isWhole, isWhole ? bytes : exchange.responseBody(bytes, true));
}

function answerOf(headers: Headers, isWhole: boolean, bytes: Buffer): Effect[] {
  const first: Effect = { kind: "response headers", last: isWhole, headers, body: "" };
  const body = bytes.toString("latin1");
  return isWhole ? [first] : [first, { kind: "response body", last: true, headers: [], body }];
}
