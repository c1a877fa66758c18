import type { Passed } from "./tap.ts";

/** Tokens that an answer says it took, in the words of any API; zero where it says nothing. */
export function usageIn({ body, type }: Passed): { prompt: number; completion: number } {
  const text = body.toString();
  const documents = type.startsWith("text/event-stream")
    ? [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data = ""]) => JSON.parse(data))
    : [JSON.parse(text)];
  let prompt = 0;
  let completion = 0;
  for (const document of documents) {
    const usage = document.usage ?? document.response?.usage ?? document.message?.usage;
    if (!usage) continue;
    // Anthropic tells what came from a cache, and was written to one, beside the rest of a prompt.
    const { cache_read_input_tokens: read = 0, cache_creation_input_tokens: written = 0 } = usage;
    const input =
      usage.input_tokens === undefined ? undefined : usage.input_tokens + read + written;
    prompt = usage.prompt_tokens ?? input ?? prompt;
    completion = usage.completion_tokens ?? usage.output_tokens ?? completion;
  }
  return { prompt, completion };
}
