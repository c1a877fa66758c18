import { createHash } from "node:crypto";

const dimensions = 256;

/** An answer of OpenAI's embeddings: one vector, the same for the same input. */
export function embedding({ input, model }: { input?: unknown; model?: unknown }): object {
  const text = JSON.stringify(input ?? "");
  const vector = Array.from({ length: dimensions }, (_, i) => {
    const bytes = createHash("sha256").update(`${i}:${text}`).digest();
    return bytes.readInt32BE(0) / 2 ** 31;
  });
  const tokens = Math.ceil(text.length / 4);
  return {
    object: "list",
    model: typeof model === "string" ? model : "tiny",
    data: [{ object: "embedding", index: 0, embedding: vector }],
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}
