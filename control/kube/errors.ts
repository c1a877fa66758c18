/** One cause the API server gives for a refusal, e.g. a field and who owns it. */
export interface KubeCause {
  reason?: string;
  message?: string;
  field?: string;
}

/** The API server answered, and refused. */
export class KubeError extends Error {
  override name = "KubeError";
  /** HTTP status: 404 not found, 409 conflict, 410 gone, 422 invalid, ... */
  readonly status: number;
  /** Kubernetes' word for it: "NotFound", "AlreadyExists", "Conflict", "Invalid", ... */
  readonly reason: string;
  readonly causes: readonly KubeCause[];
  /** Seconds to wait before another try, where the server says so. */
  readonly retryAfterSeconds: number | undefined;
  constructor(
    status: number,
    reason: string,
    message: string,
    causes: readonly KubeCause[] = [],
    retryAfterSeconds?: number,
  ) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.causes = causes;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The API server did not answer, or not with what it should. */
export class KubeUnreachableError extends Error {
  override name = "KubeUnreachableError";
}

/** Reads a Status object (meta/v1) out of an answer's body. */
export function statusError(status: number, body: string, retryAfter?: string): KubeError {
  let parsed: { reason?: string; message?: string; details?: { causes?: KubeCause[] } } = {};
  try {
    parsed = JSON.parse(body) as typeof parsed;
  } catch {
    // A proxy in between answers in its own format.
    parsed = { message: body.slice(0, 200).trim() };
  }
  const seconds = Number(retryAfter);
  return new KubeError(
    status,
    parsed.reason || String(status),
    parsed.message || `the API server answered ${status}`,
    parsed.details?.causes ?? [],
    Number.isFinite(seconds) && retryAfter !== undefined ? seconds : undefined,
  );
}

/** Whether the same request may succeed later without anyone changing anything. */
export function isTransient(error: unknown): boolean {
  if (error instanceof KubeUnreachableError) return true;
  return error instanceof KubeError && (error.status === 429 || error.status >= 500);
}
