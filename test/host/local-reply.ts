import { Buffer } from "node:buffer";
import type { Headers } from "./header-map.ts";
import { valuesOf } from "./header-map.ts";
import type { LocalReply } from "./worker.ts";

/** The answer that Envoy makes of a filter's reply, before it passes the filters on its way out. */
export function answerTo(request: Headers, reply: LocalReply): { headers: Headers; body: string } {
  const [type = ""] = valuesOf(request, "content-type");
  if (/^application\/grpc(\+|;|$)/.test(type)) return grpcAnswerTo(reply);
  const headers: Headers = [[":status", String(reply.status)], ...reply.headers];
  if (reply.body !== "") {
    headers.push(["content-length", String(reply.body.length)]);
    if (valuesOf(headers, "content-type").length === 0)
      headers.push(["content-type", "text/plain"]);
  }
  const isHead = valuesOf(request, ":method")[0] === "HEAD";
  return { headers, body: isHead ? "" : reply.body };
}

/** What gRPC clients read: status and message as headers of an answer without a body. */
function grpcAnswerTo({ headers, body, grpcStatus }: LocalReply): {
  headers: Headers;
  body: string;
} {
  const message = Buffer.from(body, "latin1")
    .toString("latin1")
    .replace(
      /[^ -$&-~]/g,
      (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
    );
  return {
    headers: [
      [":status", "200"],
      ...headers,
      ["content-type", "application/grpc"],
      ["grpc-status", String(grpcStatus)],
      ["grpc-message", message],
    ],
    body: "",
  };
}
