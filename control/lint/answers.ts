import type { Duration } from "@bufbuild/protobuf/wkt";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { Lint } from "./finding.ts";

/** Annotation with the duration of the longest stream, as seconds with a trailing "s". */
const longestStreamAnnotation = "weir.dev/longest-stream";
const defaultLongestMs = 300_000;

/** Conditions under which a pod may already have begun to answer. */
const afterTheFact = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "retriable-4xx",
  "unavailable",
  "resource-exhausted",
  "cancelled",
]);

/** Lints about answers: how long they may take, and what runs twice. */
export const answerLints: readonly Lint[] = [
  {
    id: "retries-not-idempotent",
    severity: "warning",
    reason:
      "a completion that failed half-way has already cost GPU time and tokens; a retry runs it twice and may answer differently",
    check: ({ spec }) =>
      (spec?.resilience?.retries?.retryOn ?? []).flatMap((condition, index) =>
        afterTheFact.has(condition)
          ? [
              {
                path: `spec.resilience.retries.retryOn[${index}]`,
                message: `retries on ${condition} may repeat completions that a pod has already begun: use connect-failure, refused-stream and reset-before-request`,
              },
            ]
          : [],
      ),
  },
  {
    id: "retries-without-budget",
    severity: "info",
    reason: "when all pods are slow, retries multiply the load that made them slow",
    check: ({ spec }) =>
      spec?.resilience?.retries &&
      spec.resilience.retries.attempts > 1 &&
      !spec.resilience.retries.budget
        ? [
            {
              path: "spec.resilience.retries",
              message: `${spec.resilience.retries.attempts} retries without a budget: set retries.budget`,
            },
          ]
        : [],
  },
  {
    id: "timeout-too-short",
    severity: "warning",
    reason:
      "the timeout covers the whole response, including streams: longer responses are cut off",
    check: (route) => {
      const longest = longestMs(route);
      const resilience = route.spec?.resilience;
      const limits: [string, Duration | undefined][] = [
        ["timeout", resilience?.timeout],
        ["retries.perTryTimeout", resilience?.retries?.perTryTimeout],
        ["connections.maxConnectionDuration", resilience?.connections?.maxConnectionDuration],
      ];
      return limits.flatMap(([field, limit]) =>
        limit && millis(limit) < longest
          ? [
              {
                path: `spec.resilience.${field}`,
                message: `${field} ${millis(limit) / 1000}s is shorter than the longest stream, ${longest / 1000}s (annotation ${longestStreamAnnotation} says how long it is)`,
              },
            ]
          : [],
      );
    },
  },
  {
    id: "timeout-missing",
    severity: "info",
    reason: "without a timeout a pod that hangs keeps its callers, their memory and a slot forever",
    check: ({ spec }) =>
      spec?.resilience?.timeout
        ? []
        : [
            {
              path: "spec.resilience.timeout",
              message: "no timeout is set: a request may hang forever",
            },
          ],
  },
  {
    id: "compress-event-streams",
    severity: "error",
    reason:
      "a compressor buffers bytes until a block is full: tokens arrive in bursts, and some clients cannot read them at all",
    check: ({ spec }) =>
      (spec?.compression?.contentTypes ?? []).flatMap((type, index) =>
        [
          "text/event-stream",
          "application/x-ndjson",
          "application/grpc",
          "application/connect+json",
        ].includes(type)
          ? [
              {
                path: `spec.compression.contentTypes[${index}]`,
                message: `content type ${type} is an event stream: leave it out`,
              },
            ]
          : [],
      ),
  },
  {
    id: "compress-secrets",
    severity: "warning",
    reason:
      "the length of a compressed response shows how much of the client's text equals a secret in it (BREACH)",
    check: ({ spec }) =>
      spec?.compression?.secrets === "allow"
        ? [
            {
              path: "spec.compression.secrets",
              message:
                "secrets: allow compresses responses to requests with cookies: an attacker may guess their secrets",
            },
          ]
        : [],
  },
];

function longestMs({ metadata }: InferenceRoute): number {
  const text = metadata?.annotations[longestStreamAnnotation];
  const seconds = /^(\d{1,9}(?:\.\d{1,3})?)s$/.exec(text ?? "")?.[1];
  return seconds === undefined ? defaultLongestMs : Number(seconds) * 1000;
}

function millis({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1_000_000;
}
