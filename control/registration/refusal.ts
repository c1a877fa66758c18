/** Why a registration is refused: what callers can do about it. */
export type RefusalKind = "invalid" | "unknown" | "conflict" | "full";

/** A registration that is refused, by a code of docs/error-codes.md. */
export class RefusedError extends Error {
  override name = "RefusedError";
  readonly kind: RefusalKind;
  readonly code: string;
  /** The member of the request that it is about. */
  readonly path: string;

  constructor(code: string, kind: RefusalKind, path: string, message: string) {
    super(message);
    this.code = code;
    this.kind = kind;
    this.path = path;
  }
}

/** Makes a refusal that names the member of the request that it is about. */
export function refused(
  code: string,
  kind: RefusalKind,
  path: string,
  message: string,
): RefusedError {
  return new RefusedError(code, kind, path, message);
}
