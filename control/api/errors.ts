import { Code, ConnectError } from "@connectrpc/connect";
import { ProblemsSchema } from "../gen/weir/v1/service_pb.ts";
import type { Problem } from "../route/index.ts";
import {
  FencedError,
  NotStoredError,
  StaleEtagError,
  StoreRefusedError,
  StoreUnavailableError,
  WatchBehindError,
} from "../store/index.ts";
import { shorten } from "../text/shorten.ts";

/** Maximum number of problems in one response: it should not be larger than the request. */
const maxProblems = 100;
/** Longest that a name can be, "namespace/name", is 127. */
const maxNameCharacters = 128;

/** All problems of a document as one error: the first in the message, the first hundred in the detail. */
export function problemsError(problems: readonly Problem[]): ConnectError {
  const [first, ...others] = problems;
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  const message = first
    ? `${first.path ? `${first.path}: ` : ""}${first.message}${more}`
    : "refused";
  return new ConnectError(message, Code.InvalidArgument, undefined, [
    { desc: ProblemsSchema, value: { problems: problems.slice(0, maxProblems) } },
  ]);
}

/** Header of not_found where a route is not there: its name, for clients that look for one that is like it. */
const unknownRouteHeader = "weir-unknown-route";

/** A route is not there, or the caller may not see it. */
export function notFound(name: string): ConnectError {
  const shown = shownName(name);
  // A header takes only some characters, and half of a pair of surrogates cannot be written as a URI.
  const header = encodeURI(Buffer.from(shown).toString());
  return new ConnectError(`there is no route ${shown}`, Code.NotFound, {
    [unknownRouteHeader]: header,
  });
}

/** A name from a request, shortened for a message. */
export function shownName(name: string): string {
  return shorten(name, maxNameCharacters);
}

/** Maps internal errors to the errors that clients get; the only place that does. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof StaleEtagError) return new ConnectError(error.message, Code.Aborted);
  if (error instanceof FencedError) return new ConnectError(error.message, Code.Aborted);
  if (error instanceof NotStoredError) return new ConnectError(error.message, Code.NotFound);
  if (error instanceof StoreRefusedError)
    return new ConnectError(error.message, Code.FailedPrecondition);
  if (error instanceof StoreUnavailableError)
    return new ConnectError(error.message, Code.Unavailable);
  if (error instanceof WatchBehindError)
    return new ConnectError(error.message, Code.ResourceExhausted);
  // Its message may hold secrets: it goes to the log, not to the client.
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}
