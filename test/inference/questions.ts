/** One request of each kind that llama.cpp's server answers. */
export interface Question {
  name: string;
  /** The server that was started for texts, or the one for vectors. */
  of: "texts" | "vectors";
  method?: "GET";
  path: string;
  body?: object;
  status: number;
}

const messages = [
  { role: "system", content: "You are a river." },
  { role: "user", content: "Where do you go? \u6cb3\u6d41 \u{1f30a}" },
];
/** Greedy, and as long as it was asked to be. */
const fixed = { temperature: 0, ignore_eos: true };
const chat = { model: "tiny", messages, max_tokens: 12, ...fixed };
const stream = { stream: true, stream_options: { include_usage: true } };
const anthropic = {
  model: "tiny",
  messages: messages.slice(1),
  max_tokens: 12,
  ...fixed,
};
const weather = {
  type: "object",
  properties: { city: { enum: ["Bern", "Oslo"] }, days: { enum: [1, 2, 3] } },
  required: ["city", "days"],
};
const tools = [{ type: "function", function: { name: "weather", parameters: weather } }];
const schema = { type: "json_schema", json_schema: { name: "weather", schema: weather } };

const texts = (name: string, path: string, body: object, status = 200): Question => ({
  name,
  of: "texts",
  path,
  body,
  status,
});
const vectors = (name: string, path: string, body: object): Question => ({
  ...texts(name, path, body),
  of: "vectors",
});
const read = (path: string, status = 200): Question => ({
  name: `GET ${path}`,
  of: "texts",
  method: "GET",
  path,
  status,
});

const chatPath = "/v1/chat/completions";
export const questions: readonly Question[] = [
  texts("a chat completion", chatPath, chat),
  texts("a chat stream with usage", chatPath, { ...chat, ...stream }),
  texts("a chat stream without usage", chatPath, { ...chat, stream: true }),
  texts("two choices", chatPath, { ...chat, n: 2 }),
  texts("log probabilities", chatPath, { ...chat, ...stream, logprobs: true, top_logprobs: 2 }),
  texts("a schema", chatPath, {
    ...chat,
    max_tokens: 200,
    ignore_eos: false,
    response_format: schema,
  }),
  texts("a tool", chatPath, {
    ...chat,
    max_tokens: 200,
    ignore_eos: false,
    tools,
    tool_choice: "required",
  }),
  texts("a streamed tool", chatPath, {
    ...chat,
    ...stream,
    ...{ max_tokens: 200, ignore_eos: false, tools, tool_choice: "required" },
  }),
  texts("a completion", "/v1/completions", { prompt: "A river is", max_tokens: 12, ...fixed }),
  texts("a streamed completion", "/v1/completions", {
    ...{ prompt: "A river is", max_tokens: 12, stream: true },
    ...fixed,
  }),
  texts("a response", "/v1/responses", { input: "hello", max_output_tokens: 12, ...fixed }),
  texts("a streamed response", "/v1/responses", {
    ...{ input: "hello", max_output_tokens: 12, stream: true },
    ...fixed,
  }),
  texts("a message", "/v1/messages", anthropic),
  texts("a streamed message", "/v1/messages", { ...anthropic, stream: true }),
  texts("tokens of a message", "/v1/messages/count_tokens", anthropic),
  texts("tokens of a text", "/tokenize", { content: "A river is" }),
  vectors("an embedding", "/v1/embeddings", { input: ["A river", "a lake"], model: "tiny" }),
  texts("an embedding that the server lacks", "/v1/embeddings", { input: "A river" }, 501),
  texts("a prompt beyond the context", chatPath, { ...chat, messages: long() }, 400),
  texts("messages of a wrong type", chatPath, { ...chat, messages: 7 }, 400),
  texts("a path that is not there", "/v1/rivers", {}, 404),
  read("/v1/models"),
  read("/health"),
  read("/nothing", 404),
];

function long() {
  return [{ role: "user", content: "word ".repeat(9000) }];
}
