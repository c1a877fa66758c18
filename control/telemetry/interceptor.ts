import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";
import { idsOf, type Tracing } from "./tracing.ts";

/** Methods that are called every second by machines: a line for each would bury the others. */
const quiet = /^(Report|List|Get|Watch)/;

/**
 * A span for every call, and a line for every call that changes something or
 * fails: who called what, how it ended, how long it took, and the trace's ids.
 */
export function callInterceptor(tracing: Tracing, logger: Logger | undefined): Interceptor {
  return (next) => (request) => {
    const method = `${request.service.name}/${request.method.name}`;
    return tracing.span(method, request.header, async (span) => {
      span.setAttributes({
        "rpc.system": "connect_rpc",
        "rpc.service": request.service.typeName,
        "rpc.method": request.method.name,
      });
      const begin = performance.now();
      const told = (code: string) =>
        logger?.info(
          { method, code, durationMs: rounded(performance.now() - begin), ...idsOf(span) },
          "call",
        );
      try {
        const response = await next(request);
        if (!quiet.test(request.method.name)) told("ok");
        return response;
      } catch (error) {
        const code = codeOf(error);
        span.setAttribute("rpc.connect_rpc.error_code", code);
        told(code);
        throw error;
      }
    });
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

function codeOf(error: unknown): string {
  const name = Code[ConnectError.from(error).code] ?? "Unknown";
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
}
