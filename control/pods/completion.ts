/** How a fake pod behaves; all of it may change while it runs. */
export interface PodBehaviour {
  /** Time to the first token. */
  firstTokenMs: number;
  /** Time between tokens of a stream. */
  tokenGapMs: number;
  /** Tokens of an answer, unless the request allows fewer. */
  tokens: number;
  /** Share of requests that get 500, 0 to 1. */
  errorRate: number;
  /** Share of answers that tell of an error within a 200, 0 to 1: of streams after their first token. */
  failRate: number;
  /** Share of streams that end without [DONE], 0 to 1. */
  cutRate: number;
  finishReason: string;
  /** Completions it works on at once, the others wait; 0 is no limit. */
  slots: number;
  /** Status that it refuses completions with, 0 for none. */
  refuse: number;
  /** Share of requests that never get an answer, 0 to 1. */
  hangRate: number;
  /** Tokens that prompt and answer may have together; beyond them it answers 400. 0 is no limit. */
  contextTokens: number;
  /** Whose ways it has where servers differ: what they tell of their load, their last events, how they end connections. */
  server: "vllm" | "llama.cpp";
  /** Milliseconds without a request after which it closes a connection. */
  idleMs: number;
  /** Requests it says wait besides those that do, and use of the key-value cache, 0 to 1: in /metrics and to who asks with a request. */
  waiting: number;
  kvCache: number;
}

export const goodPod: PodBehaviour = {
  firstTokenMs: 20,
  tokenGapMs: 10,
  tokens: 16,
  errorRate: 0,
  failRate: 0,
  cutRate: 0,
  finishReason: "stop",
  slots: 0,
  refuse: 0,
  hangRate: 0,
  contextTokens: 0,
  server: "vllm",
  idleMs: 5_000,
  waiting: 0,
  kvCache: 0.1,
};

/** The members of a chat completion request that matter here. */
export interface CompletionRequest {
  model?: string;
  stream?: boolean;
  n?: number;
  max_tokens?: number;
  max_completion_tokens?: number;
  messages?: { content?: unknown }[];
  stream_options?: { include_usage?: boolean };
}

/** Tokens an answer has. */
function answerTokens(request: CompletionRequest, behaviour: PodBehaviour): number {
  return Math.min(
    behaviour.tokens,
    request.max_completion_tokens ?? request.max_tokens ?? behaviour.tokens,
  );
}

export function usageOf(request: CompletionRequest, completionTokens: number) {
  const text = (request.messages ?? []).map(({ content }) => String(content ?? "")).join(" ");
  const promptTokens = Math.ceil(text.length / 4);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** Speed figures that llama.cpp adds to the API's response. */
function timings({ server, tokenGapMs }: PodBehaviour, tokens: number): object {
  const predicted = { predicted_n: tokens, predicted_ms: tokens * tokenGapMs };
  return server === "llama.cpp" ? { timings: predicted } : {};
}

/** The numbers of the choices that a request asks for. */
const choicesOf = ({ n = 1 }: CompletionRequest) => Array.from({ length: n }, (_, index) => index);

/** A chat completion as OpenAI-compatible servers answer it. */
export function completion(
  id: string,
  request: CompletionRequest,
  behaviour: PodBehaviour,
): object {
  const tokens = answerTokens(request, behaviour);
  const content = Array.from({ length: tokens }, (_, i) => word(i)).join("");
  const choices = choicesOf(request).map((index) => ({
    index,
    message: { role: "assistant", content },
    finish_reason: behaviour.finishReason,
  }));
  // llama.cpp reports the usage of one choice, however many there are.
  const counted = behaviour.server === "llama.cpp" ? tokens : tokens * choices.length;
  return {
    id,
    object: "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model: request.model ?? "tiny",
    choices,
    usage: usageOf(request, counted),
    ...timings(behaviour, tokens),
  };
}

/** The events of a streamed completion, without the closing [DONE]. */
export function* completionChunks(
  id: string,
  request: CompletionRequest,
  behaviour: PodBehaviour,
): Generator<object> {
  const tokens = answerTokens(request, behaviour);
  const withUsage = request.stream_options?.include_usage === true;
  const llama = behaviour.server === "llama.cpp";
  const head = {
    id,
    object: "chat.completion.chunk",
    created: Math.floor(Date.now() / 1000),
    model: request.model ?? "tiny",
  };
  const noUsage = withUsage && !llama ? { usage: null } : {};
  const indexes = choicesOf(request);
  for (let i = 0; i < tokens; i++)
    for (const index of indexes) {
      const delta = i === 0 ? { role: "assistant", content: word(i) } : { content: word(i) };
      yield { ...head, choices: [{ index, delta, finish_reason: null }], ...noUsage };
    }
  for (const index of indexes)
    yield {
      ...head,
      choices: [{ index, delta: {}, finish_reason: behaviour.finishReason }],
      ...noUsage,
      ...(withUsage ? {} : timings(behaviour, tokens)),
    };
  if (!withUsage) return;
  // llama.cpp sends one for each choice, vLLM one for all.
  const usages = llama ? indexes.map(() => tokens) : [tokens * indexes.length];
  for (const counted of usages)
    yield {
      ...head,
      choices: [],
      usage: usageOf(request, counted),
      ...timings(behaviour, counted),
    };
}

const words = [
  "The ",
  "river ",
  "holds ",
  "back ",
  "what ",
  "the ",
  "mill ",
  "can ",
  "not ",
  "grind. ",
];

function word(i: number): string {
  return words[i % words.length] ?? "";
}
