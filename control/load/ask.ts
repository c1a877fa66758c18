import type { Dispatcher } from "undici";

/** What to ask. */
export interface Question {
  path: string;
  headers: Record<string, string>;
  body: string;
  /** Response header whose value names the variant that answered; without it, the header of the pods of `weir up`. */
  variantHeader: string;
}

/** What became of one request. */
export interface Outcome {
  kind: "ok" | "refused" | "failed";
  /** Why it was refused or failed. */
  reason?: string;
  variant: string;
  /** From when the request was due to the end of the answer. */
  latencyMs: number;
  /** From when the request was due to the first token of a stream. */
  firstTokenMs?: number;
  /** Tokens the answer's usage names; of a stream without usage, its events with content. */
  outputTokens: number;
}

const podHeader = "x-pod";

/** An event's content that is not empty. */
const content = /"content":\s?"[^"]/g;
/** An error inside a successful response; quotes in the model's text are escaped. */
const failure = /"error":\s?(?:\{|"[^"])/;
const usage = /"completion_tokens":\s?(\d+)/;
/** What may lie between two chunks: enough for each pattern above. */
const carryBytes = 64;

/**
 * Sends one request and reads the answer to its end, never throwing.
 *
 * Times run from `dueMs`, when an open-loop client would have sent it, so that
 * a generator that lags behind does not flatter the server (coordinated omission).
 */
export function ask(
  dispatcher: Dispatcher,
  { path, headers, body, variantHeader }: Question,
  dueMs: number,
  nowMs: () => number,
): Promise<Outcome> {
  return new Promise((resolve) => {
    let status = 0;
    let variant = "";
    let streams = false;
    let firstTokenMs: number | undefined;
    let events = 0;
    let tokens: number | undefined;
    let tail = "";
    let done = false;
    let sawError = false;
    const end = (kind: Outcome["kind"], reason?: string) =>
      resolve({
        kind,
        ...(reason === undefined ? {} : { reason }),
        variant,
        latencyMs: nowMs() - dueMs,
        ...(firstTokenMs === undefined ? {} : { firstTokenMs }),
        outputTokens: kind === "ok" ? (tokens ?? events) : 0,
      });
    const read = (chunk: Buffer) => {
      const text = tail + chunk.toString("latin1");
      let fresh = 0;
      let counted = 0;
      for (const match of text.matchAll(content)) {
        fresh++;
        counted = match.index + match[0].length;
      }
      if (streams && fresh > 0 && firstTokenMs === undefined) firstTokenMs = nowMs() - dueMs;
      events += fresh;
      const named = usage.exec(text)?.[1];
      if (named !== undefined) tokens = Number(named);
      if (text.includes("data: [DONE]")) done = true;
      if (failure.test(text)) sawError = true;
      // What was counted must not be seen again; what may be half a pattern must.
      tail = text.slice(Math.max(counted, text.length - carryBytes));
    };
    dispatcher.dispatch(
      { method: "POST", path, headers, body },
      {
        onRequestStart() {},
        onResponseStart(_controller, statusCode, responseHeaders) {
          status = statusCode;
          variant = String(responseHeaders[variantHeader] ?? responseHeaders[podHeader] ?? "");
          streams = String(responseHeaders["content-type"] ?? "").startsWith("text/event-stream");
        },
        onResponseData(_controller, chunk) {
          read(chunk);
        },
        onResponseEnd() {
          if (status === 429 || status === 503) return end("refused", `status ${status}`);
          if (status >= 400) return end("failed", `status ${status}`);
          if (sawError) return end("failed", `an error within a ${status}`);
          if (streams && !done) return end("failed", "stream without [DONE]");
          end("ok");
        },
        onResponseError(_controller, error) {
          const code = (error as NodeJS.ErrnoException).code;
          end("failed", status > 0 ? "stream cut short" : (code ?? error.message));
        },
      },
    );
  });
}
