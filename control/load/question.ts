import type { Question } from "./ask.ts";

/** What the requests of a load are like. */
export interface QuestionOptions {
  /** Authority that selects the route. */
  host: string;
  /** Name of the model in the body. */
  model: string;
  /** Share of the requests that ask for a stream, 0 to 1. */
  streams: number;
  /** Most tokens of an answer. */
  maxTokens: number;
  /** Text of the message. */
  prompt: string;
  /** So many different users ask in turn. */
  users: number;
  /** Request header with the name of the user. */
  userHeader: string;
  /** Further request headers. */
  headers: Record<string, string>;
  /** Response header that names the variant; results are split by it. */
  variantHeader: string;
}

/** Chat completions as OpenAI's clients ask for them, from a given number of users in turn. */
export function chatQuestions(options: QuestionOptions): (n: number) => Question {
  const body = (stream: boolean) =>
    JSON.stringify({
      model: options.model,
      messages: [{ role: "user", content: options.prompt }],
      max_tokens: options.maxTokens,
      ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
    });
  const bodies = { plain: body(false), stream: body(true) };
  return (n) => ({
    path: "/v1/chat/completions",
    headers: {
      host: options.host,
      "content-type": "application/json",
      [options.userHeader]: `load-${n % options.users}`,
      ...options.headers,
    },
    // Spread evenly: of each hundred requests, the share that streams.
    body:
      Math.floor((n + 1) * options.streams) > Math.floor(n * options.streams)
        ? bodies.stream
        : bodies.plain,
    variantHeader: options.variantHeader,
  });
}

/** Reads "name: value"; the name in lower case. @throws Error that names what is expected */
export function parseHeader(line: string): [name: string, value: string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined)
    throw new Error(`header "${line}" must be "name: value"`);
  return [name.toLowerCase(), value];
}
