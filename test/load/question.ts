import { chatQuestions } from "../../control/load/index.ts";

/** Short questions of ten users to chat.example.com; that share of them asks for a stream. */
export const questionsOf = (streams: number) =>
  chatQuestions({
    host: "chat.example.com",
    model: "tiny",
    streams,
    maxTokens: 8,
    prompt: "hello",
    users: 10,
    userHeader: "x-user-id",
    headers: {},
    variantHeader: "x-pod",
  });
