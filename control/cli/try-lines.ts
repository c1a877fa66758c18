import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { Address } from "../xds/index.ts";
import { showAddress } from "./address.ts";

interface Places {
  page: Address;
  gateway: Address;
  server: Address;
  route: InferenceRoute;
}

/** What to try once everything runs, as lines for a shell. */
export function tryLines({ page, gateway, server, route }: Places): string {
  const host = route.spec?.hosts[0] ?? "";
  const name = route.metadata?.name ?? "";
  const tenant = Object.keys(route.spec?.rateLimit?.tenants ?? {})[0] ?? "acme";
  const url = `http://${showAddress(gateway)}/v1`;
  const canary = route.spec?.variants[1]?.name ?? "canary";
  const at = showAddress(server) === "127.0.0.1:8080" ? "" : ` --server ${showAddress(server)}`;
  const ask = (body: string, flags: string, call = "chat/completions") =>
    `curl -s ${flags} ${url}/${call} -H 'host: ${host}' -H 'x-tenant-id: ${tenant}' -H 'x-user-id: ada' -H 'content-type: application/json' -d '${body}'`;
  const asked = route.spec?.match[0]?.model;
  const model = asked?.exact || asked?.in[0] || "tiny";
  const message = `"model":"${model}","messages":[{"role":"user","content":"hello"}]`;
  const { spec } = route;
  // Each line shows what the route has.
  const compressed = spec?.compression && [
    "# a large answer, compressed: its headers",
    ask(`{"model":"${model}","input":"hello"}`, "--compressed -o /dev/null -D -", "embeddings"),
  ];
  const refused = spec?.rateLimit && [
    "# requests without a known tenant share a small limit: 429 with Retry-After after a few",
    `for i in $(seq 20); do curl -s -o /dev/null -w '%{http_code} ' ${url}/models -H 'host: ${host}'; done`,
  ];
  const listed = ["# the models of the host", `curl -s ${url}/models -H 'host: ${host}'`];
  const moved = spec?.canary && [
    "# move users to the canary, and see that every proxy runs it",
    `npx weir shift ${name} ${canary}=30 --wait${at}`,
  ];
  return [
    "",
    `page:         http://${showAddress(page)}/`,
    "",
    "# a completion; the header x-pod names the pod that answered",
    ask(`{${message}}`, "-i"),
    "# the same as a stream of events",
    ask(`{${message},"stream":true}`, "-N"),
    // Where models share a host, another route may take these calls, and the filter answers the list itself.
    ...(asked ? listed : [...(compressed ?? []), ...(refused ?? [])]),
    ...(moved ?? []),
    `npx weir status ${name}${at}`,
    "",
  ].join("\n");
}
