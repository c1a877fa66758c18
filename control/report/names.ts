/**
 * What the filters report, by name. Counters of streams and answers are split
 * by variant and tier; what a label counts by stands beside its name.
 */
export const counterNames = {
  /** Requests sent to a variant by the canary; label: the variant. */
  canaryRequests: "canary_requests",
  /** Requests within their limits; label: the tier. */
  rateLimitAdmitted: "rate_limit_admitted",
  /** Requests refused by their tier's rate; label: the tier. */
  rateLimitRefused: "rate_limit_refused",
  /** Requests refused because their tenant had as many in flight as it may; label: the tier. */
  concurrencyRefused: "concurrency_refused",
  /** Requests refused because the pods were saturated; label: the tier. */
  overloadRefused: "overload_refused",
  /** Requests refused because the route had as many in flight as it may. */
  routeFull: "route_full",
  /** Requests refused because nothing identified the caller. */
  unauthenticated: "unauthenticated",
  /** Requests refused because the tier may not use the route; label: the tier. */
  forbidden: "forbidden",
  /** Requests refused for any of these reasons, of some tenants; label: the tenant. */
  tenantRefused: "tenant_refused",
  /** Requests that got the shadow tag. */
  shadowTagged: "shadow_tagged",
  /** Answers, by the class of their status: "2xx" to "5xx", "501" by itself, "none" where none came, or "fallback" where another variant's pods answered 2xx. */
  responses: "responses",
  /** Requests that have waited so long for their answer to begin: "4s", "8s", "16s" and so on to "128s". */
  waited: "waited",
  /** Event streams by how they ended: "done" with [DONE], "cut" without it, "aborted" by the client. */
  streams: "streams",
  /** Choices by finish_reason: "stop", "length", "tool_calls", "content_filter", "function_call" or "other". */
  finishes: "finishes",
  /** Tokens charged: "prompt" or "completion". */
  tokens: "tokens",
  /** Of these tokens: "cached" and "written" to a cache in prompts, "reasoning" in completions. */
  tokenDetails: "token_details",
  /** Failed responses with a success status: "error" in the stream or the body. */
  failedAnswers: "failed_answers",
  /** Where the charge came from: "reported" by the pod, "estimated" or "unreadable" (and estimated). */
  usage: "usage",
  /** What the token limit did: "admitted", "refused", "clamped", "overrun" or "finished". */
  tokenLimit: "token_limit",
} as const;

/** Distributions, by variant and tier, in the unit that ends the name. */
export const histogramNames = {
  timeToFirstByte: "time_to_first_byte_ms",
  timeToFirstToken: "time_to_first_token_ms",
  tokenGap: "token_gap_ms",
  streamDuration: "stream_duration_ms",
  outputTokens: "output_tokens",
  tokensPerSecond: "tokens_per_second",
} as const;
