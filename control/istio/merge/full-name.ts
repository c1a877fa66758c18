import { defaultNamespace } from "../../route/index.ts";
/** Gateways by full name; none is the mesh. */
export function gatewaysOf(gateways: unknown, namespace = defaultNamespace): string[] {
  const named = (gateways ?? []) as string[];
  return named.length === 0
    ? ["mesh"]
    : named.map((name) => (name === "mesh" || name.includes("/") ? name : `${namespace}/${name}`));
}

/** A Service's host by its full name; others as they are. */
export function fullHost(host: unknown, namespace = defaultNamespace): string {
  const text = String(host);
  if (!text.includes(".")) return `${text}.${namespace}.svc.cluster.local`;
  return /^[^.]+\.[^.]+(?:\.svc)?$/.test(text)
    ? `${text.replace(/\.svc$/, "")}.svc.cluster.local`
    : text;
}
