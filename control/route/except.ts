import type { RouteSpec } from "../gen/weir/v1/route_pb.ts";

/** Requests that are passed on without limits. */
export interface Excepted {
  methods: readonly string[];
  /** The whole path, or with `prefix` its beginning. */
  path: string;
  prefix: boolean;
  /** Only with these headers. */
  headers?: readonly string[];
}

const reading = ["GET", "HEAD"];
/** Where servers and balancers ask whether a server is well; it costs no model. */
const health = [
  ..."/health /healthz /livez /readyz /ready /ping".split(" "),
  ..."/v2/health/live /v2/health/ready".split(" "),
];
/** A browser asks it before each request of a page, and nothing runs. */
const preflights: Excepted = {
  methods: ["OPTIONS"],
  path: "/",
  prefix: true,
  headers: ["origin", "access-control-request-method"],
};

/**
 * The requests that no limit of a route holds for. Health checks are among them, because a balancer
 * that is refused one takes a good gateway out.
 */
export function exceptedOf({ except, rateLimit }: RouteSpec): Excepted[] {
  const asked = except.map(({ methods, path }) => {
    const prefix = path.endsWith("*");
    return {
      methods: methods.length > 0 ? methods : reading,
      path: prefix ? path.slice(0, -1) : path,
      prefix,
    };
  });
  if (rateLimit === undefined) return asked;
  return [
    ...asked,
    preflights,
    ...health.map((path) => ({ methods: reading, path, prefix: false })),
  ];
}
