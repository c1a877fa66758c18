import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { may, mayRegister } from "../auth/index.ts";
import {
  type DrainEndpointRequest,
  type Endpoint,
  EndpointSchema,
  type EndpointService,
} from "../gen/weir/v1/endpoint_pb.ts";
import { ProblemsSchema } from "../gen/weir/v1/service_pb.ts";
import { type Caller, type Entry, RefusedError, type Registry } from "../registration/index.ts";
import { resolveName } from "../route/index.ts";
import { permissionDenied, principal } from "./access.ts";
import { notFound } from "./errors.ts";

/** What the pods' own calls work on. */
export interface EndpointContext {
  registry: Registry;
  /** Tells the registry of the routes as they are stored now. */
  followRoutes(): Promise<void>;
  monotonicMs(): number;
}

/** Lets pods register themselves, each for the routes that its caller may register pods of. */
export function createEndpointService({
  registry,
  followRoutes,
  monotonicMs,
}: EndpointContext): ServiceImpl<typeof EndpointService> {
  /** The route that a pod's call is about. @throws ConnectError where the caller may not register pods of it */
  function routeFor(word: string): string {
    const who = principal();
    const mine = [...registry.routes()].filter((name) => mayRegister(who, name));
    const name = resolveName(word, mine);
    // A name alone may be that of a route to come in one of the caller's namespaces.
    if (!word.includes("/") && !mine.includes(name)) throw notFound(name);
    // Whether there is such a route is told to those alone who may register pods of it.
    if (!mayRegister(who, name)) throw permissionDenied(who, "pod", namespaceOf(name));
    if (!mine.includes(name)) throw notFound(name);
    return name;
  }

  /** Who registered a pod may change it, and so may an admin. */
  function callerIn(route: string): Caller {
    const who = principal();
    return { name: who.name, isAdmin: may(who, "admin", namespaceOf(route)) };
  }

  const named = (
    { address, instance }: Pick<DrainEndpointRequest, "address" | "instance">,
    route: string,
  ) => ({
    route,
    address,
    instance,
  });
  const shown = (entry: Entry) => endpointOf(entry, monotonicMs());

  /** Runs a pod's call, and turns refusals into errors that name their code. */
  async function answered<T>(work: () => T): Promise<T> {
    try {
      return await upToDate(work);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      registry.counts.event("refuse");
      throw refusedError(error);
    }
  }

  /** What a document says that was stored a moment ago counts. */
  async function upToDate<T>(work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      const { code } = error as ConnectError | RefusedError;
      if (code !== Code.NotFound && code !== "unknown-variant" && code !== "not-registering")
        throw error;
      await followRoutes();
      return work();
    }
  }

  return {
    registerEndpoint: (request) =>
      answered(() => {
        const { variant, address, instance, capacity, lease } = request;
        const asked = { address, instance, capacity, leaseMs: lease && millisecondsOf(lease) };
        const pod = registry.register(routeFor(request.route), variant, asked, principal().name);
        return { endpoint: shown(pod), renewAfter: duration(pod.leaseMs / 3) };
      }),
    drainEndpoint: (request) =>
      answered(() => {
        const route = routeFor(request.route);
        const { pod, waitMs } = registry.drain(named(request, route), callerIn(route));
        return {
          endpoint: shown(pod),
          ...(waitMs > 0 ? { effectiveAfter: duration(waitMs) } : {}),
        };
      }),
    deregisterEndpoint: (request) =>
      answered(() => {
        const route = routeFor(request.route);
        registry.deregister(named(request, route), callerIn(route));
        return {};
      }),
    listEndpoints: ({ name: word }) =>
      upToDate(() => {
        const who = principal();
        const sees = (name: string) => may(who, "viewer", namespaceOf(name));
        const known = [...registry.routes()].filter(sees);
        const name = resolveName(word, known);
        if (!sees(name)) throw permissionDenied(who, "viewer", namespaceOf(name));
        if (!known.includes(name)) throw notFound(name);
        return { endpoints: registry.list(name).map(shown) };
      }),
  };
}

function refusedError({ kind, code, path, message }: RefusedError): ConnectError {
  const codes = {
    invalid: Code.InvalidArgument,
    unknown: Code.NotFound,
    conflict: Code.FailedPrecondition,
    full: Code.ResourceExhausted,
  } as const;
  // The command waits for as long and calls again.
  const headers = code === "joins-too-fast" ? { "retry-after": "1" } : undefined;
  return new ConnectError(message, codes[kind], headers, [
    { desc: ProblemsSchema, value: { problems: [{ code, path, message }] } },
  ]);
}

function endpointOf(entry: Entry, nowMs: number): Endpoint {
  const { route, variant, address, instance, capacity, state, principal } = entry;
  return create(EndpointSchema, {
    route,
    variant,
    address,
    instance,
    capacity,
    state,
    principal,
    expiresIn: duration(Math.max(0, entry.endsAtMs - nowMs)),
  });
}

const namespaceOf = (name: string) => name.split("/", 1)[0] ?? "";

function millisecondsOf({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

function duration(ms: number): Duration {
  const whole = Math.round(ms);
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(whole / 1000)),
    nanos: (whole % 1000) * 1e6,
  });
}
