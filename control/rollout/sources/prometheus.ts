import { create } from "@bufbuild/protobuf";
import {
  type MetricQuery,
  type RolloutSpec,
  type Verdict,
  VerdictSchema,
} from "../../gen/weir/v1/rollout_pb.ts";
import { milliseconds, showTime } from "../plan/duration.ts";
import { createPoll, createPolls, failureMessage } from "./poll.ts";

/** What a query gave: a number, or why there is none. */
export type QueryAnswer = { value: number; ageMs: number } | { missing: string };

const everyMs = 5_000;
const timeoutMs = 4_000;
const keptMs = 60_000;
const defaultMaxAgeMs = 60_000;
/** Larger answers are not one number. */
const maxBytes = 1 << 16;

/** Asks one Prometheus the queries of all rollouts. */
export function createPrometheus(
  baseUrl: string,
  { monotonicMs, now }: { monotonicMs(): number; now(): Date },
): (name: string, spec: RolloutSpec) => Verdict[] {
  const polls = createPolls<QueryAnswer>(keptMs, monotonicMs);
  return (name, spec) =>
    (spec.analysis?.queries ?? []).map((query) => {
      const poll = polls(`${name} ${query.query}`, () =>
        createPoll<QueryAnswer>(
          (signal) => ask(baseUrl, query.query, now, signal),
          (error) => ({ missing: failureMessage(error) }),
          { everyMs, timeoutMs, monotonicMs },
        ),
      );
      const latest = poll.latest();
      if (latest === undefined) return queryVerdict(query, undefined);
      const { value: answer, ageMs } = latest;
      return queryVerdict(
        query,
        "missing" in answer ? answer : { ...answer, ageMs: answer.ageMs + ageMs },
      );
    });
}

/** What an answer means; pure. Only a fresh, finite number within its limits passes. */
export function queryVerdict(query: MetricQuery, answer: QueryAnswer | undefined): Verdict {
  const { name, min, max } = query;
  const verdict = (outcome: string, message: string, canary = 0) =>
    create(VerdictSchema, {
      check: name,
      outcome,
      message: `${name} ${message}`,
      canary,
      limit: max ?? min ?? 0,
    });
  if (answer === undefined) return verdict("inconclusive", "has no answer yet");
  if ("missing" in answer) return verdict("missing", `missing: ${answer.missing}`);
  const { value, ageMs } = answer;
  if (!Number.isFinite(value)) return verdict("missing", `missing: the answer is ${value}`);
  const maxAgeMs = milliseconds(query.maxAge, defaultMaxAgeMs);
  if (ageMs > maxAgeMs)
    return verdict(
      "missing",
      `missing: the answer is ${showTime(ageMs)} old, at most ${showTime(maxAgeMs)} are allowed`,
    );
  if (min !== undefined && value < min)
    return verdict("fail", `fail: ${value} is below ${min}`, value);
  if (max !== undefined && value > max)
    return verdict("fail", `fail: ${value} is above ${max}`, value);
  return verdict("pass", `pass: ${value}`, value);
}

/** Prometheus' HTTP API, instant queries. */
async function ask(
  baseUrl: string,
  query: string,
  now: () => Date,
  signal: AbortSignal,
): Promise<QueryAnswer> {
  const url = new URL("/api/v1/query", baseUrl);
  url.searchParams.set("query", query);
  const response = await fetch(url, { signal, redirect: "error" });
  const text = await response.text();
  if (text.length > maxBytes) return { missing: `the answer is too large: ${text.length} bytes` };
  if (!response.ok) return { missing: `status ${response.status}` };
  return readAnswer(text, now().getTime());
}

/** Reads an answer; NaN and infinities come as they are. */
export function readAnswer(body: string, nowMs: number): QueryAnswer {
  let answer: { status?: unknown; data?: { resultType?: unknown; result?: unknown } };
  try {
    answer = JSON.parse(body);
  } catch {
    return { missing: "the answer is not JSON" };
  }
  if (answer?.status !== "success") return { missing: "the query failed" };
  const { resultType, result } = answer.data ?? {};
  const samples =
    resultType === "scalar"
      ? [result]
      : resultType === "vector" && Array.isArray(result)
        ? result.map((each) => each?.value)
        : [];
  const [sample, ...others] = samples;
  if (!Array.isArray(sample)) return { missing: "the answer is empty" };
  if (others.length > 0) return { missing: `${samples.length} results instead of one` };
  const words: Record<string, number> = { "+Inf": Infinity, "-Inf": -Infinity };
  const text = String(sample[1]).trim();
  // Number() takes nothing for 0.
  const value = words[text] ?? (text === "" ? Number.NaN : Number(text));
  const atMs = typeof sample[0] === "number" ? sample[0] * 1000 : Number.NaN;
  // The age of an answer without a time is unknown.
  if (!Number.isFinite(atMs)) return { missing: "the answer has no time" };
  return { value, ageMs: Math.max(0, nowMs - atMs) };
}
