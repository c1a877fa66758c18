import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Metrics } from "./registry.ts";

/** Counts every call of the API, with how it ended and how long it took. */
export function metricsInterceptor(metrics: Metrics): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.name}/${request.method.name}`;
    const begin = performance.now();
    const ended = (code: string) =>
      metrics.called(method, code, (performance.now() - begin) / 1000);
    try {
      const response = await next(request);
      if (!response.stream) {
        ended("ok");
        return response;
      }
      return { ...response, message: counted(response.message, ended) };
    } catch (error) {
      ended(codeOf(error));
      throw error;
    }
  };
}

async function* counted<T>(
  messages: AsyncIterable<T>,
  ended: (code: string) => void,
): AsyncGenerator<T> {
  let code = "canceled";
  try {
    yield* messages;
    code = "ok";
  } catch (error) {
    code = codeOf(error);
    throw error;
  } finally {
    ended(code);
  }
}

/** Connect's name of a code, e.g. "not_found". */
function codeOf(error: unknown): string {
  const name = Code[ConnectError.from(error).code] ?? "Unknown";
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
}
