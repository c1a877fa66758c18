import { AsyncLocalStorage } from "node:async_hooks";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { may, type Principal, type Role } from "../auth/index.ts";

const current = new AsyncLocalStorage<Principal>();

/** Runs work, and all that it starts, in the name of a principal. */
export function asPrincipal<T>(principal: Principal, work: () => T): T {
  return current.run(principal, work);
}

/** Who the request at hand is made by. @throws ConnectError outside of a request */
export function principal(): Principal {
  const found = current.getStore();
  if (found === undefined)
    throw new ConnectError("no authenticated principal for this call", Code.Unauthenticated);
  return found;
}

/** The role that a method requires, by how it is called. Methods that are not listed here require admin. */
export function roleFor(method: string): Role {
  if (method === "Report") return "proxy";
  if (/^(Register|Drain|Deregister)Endpoint$/.test(method)) return "pod";
  if (/^(Get|List|Watch|Follow|Render|Plan)/.test(method)) return "viewer";
  if (method === "ShiftWeights" || /Rollout$/.test(method) || method === "PinTenant")
    return "operator";
  return "admin";
}

/**
 * Refuses calls of principals that have the method's role in no namespace. The store checks the
 * role again, once it knows the route's namespace.
 * @param denied is called for every refusal: here, at the store, and while an answer is read
 */
export function accessInterceptor(denied: (line: string, code: string) => void): Interceptor {
  return (next) => async (request) => {
    const who = principal();
    const role = roleFor(request.method.name);
    const note = (error: unknown) => {
      if (ConnectError.from(error).code === Code.PermissionDenied)
        denied(
          `denied: ${who.name} called ${request.service.typeName}/${request.method.name}`,
          "denied",
        );
    };
    try {
      if (!may(who, role)) throw permissionDenied(who, role);
      const response = await next(request);
      return response.stream ? { ...response, message: noted(response.message, note) } : response;
    } catch (error) {
      note(error);
      throw error;
    }
  };
}

/** The messages of a stream; `note` receives the error that ends it. */
async function* noted<Message>(
  messages: AsyncIterable<Message>,
  note: (error: unknown) => void,
): AsyncIterable<Message> {
  try {
    yield* messages;
  } catch (error) {
    note(error);
    throw error;
  }
}

export function permissionDenied(who: Principal, role: Role, namespace?: string): ConnectError {
  const where = namespace === undefined ? "" : ` in the namespace ${namespace}`;
  return new ConnectError(
    `${who.name} does not have the role ${role}${where}`,
    Code.PermissionDenied,
  );
}
