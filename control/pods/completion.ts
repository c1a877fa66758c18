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
  /** Share of streams that end without [DONE], 0 to 1. */
  cutRate: number;
  finishReason: string;
  /** Completions it works on at once, the others wait; 0 is no limit. */
  slots: number;
  /** Status that it refuses completions with, 0 for none. */
  refuse: number;
  /** Requests it says wait besides those that do, and use of the key-value cache, 0 to 1: in /metrics and to who asks with a request. */
  waiting: number;
  kvCache: number;
}

export const goodPod: PodBehaviour = {
  firstTokenMs: 20,
  tokenGapMs: 10,
  tokens: 16,
  errorRate: 0,
  cutRate: 0,
  finishReason: "stop",
  slots: 0,
  refuse: 0,
  waiting: 0,
  kvCache: 0.1,
};

/** The members of a chat completion request that matter here. */
export interface CompletionRequest {
  model?: string;
  stream?: boolean;
  max_tokens?: number;
  max_completion_tokens?: number;
  messages?: { content?: unknown }[];
  stream_options?: { include_usage?: boolean };
}

/** Tokens an answer has. */
export function answerTokens(request: CompletionRequest, behaviour: PodBehaviour): number {
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

/** A chat completion as OpenAI-compatible servers answer it. */
export function completion(
  id: string,
  request: CompletionRequest,
  behaviour: PodBehaviour,
): object {
  const tokens = answerTokens(request, behaviour);
  return {
    id,
    object: "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model: request.model ?? "tiny",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: Array.from({ length: tokens }, (_, i) => word(i)).join(""),
        },
        finish_reason: behaviour.finishReason,
      },
    ],
    usage: usageOf(request, tokens),
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
  const head = {
    id,
    object: "chat.completion.chunk",
    created: Math.floor(Date.now() / 1000),
    model: request.model ?? "tiny",
  };
  const noUsage = withUsage ? { usage: null } : {};
  for (let i = 0; i < tokens; i++) {
    const delta = i === 0 ? { role: "assistant", content: word(i) } : { content: word(i) };
    yield { ...head, choices: [{ index: 0, delta, finish_reason: null }], ...noUsage };
  }
  yield {
    ...head,
    choices: [{ index: 0, delta: {}, finish_reason: behaviour.finishReason }],
    ...noUsage,
  };
  if (withUsage) yield { ...head, choices: [], usage: usageOf(request, tokens) };
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
