import type { GatewayClient } from "../e2e/gateway-client.ts";

export const completionsPath = "/v1/chat/completions";
/** Asks for a stream of one token. */
export const oneToken = {
  stream: true,
  messages: [{ role: "user", content: "hi" }],
  max_tokens: 1,
  temperature: 0,
  ignore_eos: true,
};

/**
 * Asks for so many streams of a token each, from several clients one after the other.
 * @returns the statuses that were not 200; 0 for a stream that did not come to its end
 */
export async function askShortStreams(
  client: GatewayClient,
  count: number,
  clients: number,
  headers: Record<string, string> = {},
): Promise<number[]> {
  const failed: number[] = [];
  let asked = 0;
  const one = async () => {
    while (asked++ < count) {
      const { body, status } = await client.post(completionsPath, oneToken, headers);
      if (status !== 200) failed.push(status);
      else if (!body.includes("[DONE]")) failed.push(0);
    }
  };
  await Promise.all(Array.from({ length: clients }, one));
  return failed;
}
