import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

/** Spans of the control service. */
export interface Tracing {
  /** Runs work in a span; one that throws marks it as failed. `carrier` may hold a W3C traceparent. */
  span<T>(name: string, carrier: Headers | undefined, work: (span: Span) => Promise<T>): Promise<T>;
  /** Sends what is still to be sent. */
  close(): Promise<void>;
}

/**
 * Tracing to an OTLP/HTTP collector. Without an endpoint nothing is sent, but
 * spans have ids, so that log lines of one call can be found together.
 * @param endpoint base URL, as OTEL_EXPORTER_OTLP_ENDPOINT has it, such as http://127.0.0.1:4318
 */
export function createTracing(endpoint: string | undefined, version: string): Tracing {
  const spanProcessors = endpoint
    ? [
        new BatchSpanProcessor(
          new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` }),
        ),
      ]
    : [];
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": "weir", "service.version": version }),
    spanProcessors,
  });
  const tracer = provider.getTracer("weir", version);
  const propagator = new W3CTraceContextPropagator();

  function parentOf(carrier: Headers | undefined): Context {
    if (carrier === undefined) return ROOT_CONTEXT;
    return propagator.extract(ROOT_CONTEXT, carrier, {
      keys: (headers) => [...headers.keys()],
      get: (headers, key) => headers.get(key) ?? undefined,
    });
  }

  return {
    async span(name, carrier, work) {
      const parent = parentOf(carrier);
      const kind = carrier === undefined ? SpanKind.INTERNAL : SpanKind.SERVER;
      const span = tracer.startSpan(name, { kind }, parent);
      try {
        return await work(span);
      } catch (error) {
        // The message may hold what is no one's business; its kind is enough.
        span.setStatus({ code: SpanStatusCode.ERROR, message: nameOf(error) });
        throw error;
      } finally {
        span.end();
      }
    },
    close: () => provider.shutdown(),
  };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "error";
}

/** Ids of a span as logs carry them. */
export function idsOf(span: Span): { traceId: string; spanId: string } {
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}
