/** What a principal may do, least first; each of the first three may do what those before it may. */
export const roles = ["viewer", "operator", "admin", "proxy", "pod"] as const;

/** What a principal may do, of {@link roles}. */
export type Role = (typeof roles)[number];

/** A role in some namespaces. */
export interface Grant {
  role: Role;
  /** "*" means all. */
  namespaces: readonly string[];
  /** Role proxy: ids of the nodes it may speak for; "*" at the end stands for any rest. */
  nodes?: readonly string[];
  /** Role pod: names of the routes in these namespaces that it may register pods of; absent: all. */
  routes?: readonly string[];
}

/** Who makes a request, proven. */
export interface Principal {
  name: string;
  grants: readonly Grant[];
  /** Shown a report token: whose reports it proves. */
  report?: {
    /** Absent: of any proxy that Istio configures. */
    node?: string;
    /** Of the routes that it may speak of; "*" means all. */
    namespaces: readonly string[];
  };
}

/** The principal of all callers where none has to authenticate. */
export const anonymous: Principal = {
  name: "anonymous",
  grants: [
    { role: "admin", namespaces: ["*"] },
    { role: "proxy", namespaces: ["*"], nodes: ["*"] },
  ],
};

const rank: Record<Role, number> = { proxy: 0, pod: 0, viewer: 1, operator: 2, admin: 3 };

/** Whether a role includes another one. */
function has(own: Role, role: Role): boolean {
  if (role === "proxy") return own === "proxy";
  // Whoever may write endpoints into documents may register pods as well.
  if (role === "pod") return own === "pod" || own === "admin";
  return rank[own] >= rank[role];
}

/** Whether a principal has a role, or a higher one, in a namespace; without a namespace: in any. */
export function may(principal: Principal, role: Role, namespace?: string): boolean {
  return principal.grants.some(
    (grant) =>
      has(grant.role, role) &&
      (namespace === undefined ||
        grant.namespaces.includes("*") ||
        grant.namespaces.includes(namespace)),
  );
}

/** Whether a principal is one of pods, of which many may share its name. */
export function isPod({ grants }: Principal): boolean {
  return grants.some(({ role }) => role === "pod");
}

/** Whether a principal may register pods of a route, by its "namespace/name". */
export function mayRegister({ grants }: Principal, route: string): boolean {
  const [namespace = "", name = ""] = route.split("/", 2);
  return grants.some(
    ({ role, namespaces, routes }) =>
      has(role, "pod") &&
      (namespaces.includes("*") || namespaces.includes(namespace)) &&
      (routes === undefined || routes.includes(name)),
  );
}

/**
 * Namespaces whose routes a proxy may have, sorted; ["*"] means all. Undefined when the principal
 * may not act for the node.
 */
export function scopeOf(principal: Principal, node: string): readonly string[] | undefined {
  const grants = principal.grants.filter(
    ({ role, nodes }) => role === "proxy" && (nodes ?? []).some((name) => matches(name, node)),
  );
  if (grants.length === 0) return undefined;
  const namespaces = new Set(grants.flatMap((grant) => grant.namespaces));
  return namespaces.has("*") ? ["*"] : [...namespaces].sort();
}

function matches(pattern: string, node: string): boolean {
  return pattern.endsWith("*") ? node.startsWith(pattern.slice(0, -1)) : pattern === node;
}
