import { serverConnections } from "../route/index.ts";
import type { Lint } from "./finding.ts";

/** Lints about connections that the pods' server closes while proxies would still use them. */
export const connectionLints: readonly Lint[] = [
  {
    id: "server-is-not-named",
    severity: "info",
    reason:
      "llama.cpp closes connections after streams without notice, and the next request on such a connection gets 503; a proxy cannot detect this",
    check: ({ spec }) =>
      spec?.server === "" &&
      spec.resilience?.connections?.maxRequestsPerConnection === undefined &&
      !spec.resilience?.connections?.http2
        ? [{ path: "spec.server", message: "server is not set: set it to vllm, llama.cpp, ..." }]
        : [],
  },
  {
    id: "connections-outlive-server",
    severity: "warning",
    reason:
      "a request sent while the server closes its connection gets 503, and a retry may run it twice",
    check: ({ spec }) => {
      const asked = spec?.resilience?.connections;
      if (spec === undefined || asked === undefined || asked.http2) return [];
      const { closesAfterAnswers, idleMs } = serverConnections(spec);
      const server = spec.server || "a Python server";
      const { idleTimeout, maxRequestsPerConnection: requests } = asked;
      const keptMs = idleTimeout && Number(idleTimeout.seconds) * 1000 + idleTimeout.nanos / 1e6;
      return [
        ...(keptMs !== undefined && idleMs !== undefined && keptMs >= idleMs
          ? [
              {
                path: "spec.resilience.connections.idleTimeout",
                message: `idleTimeout ${keptMs / 1000}s is too long: ${server} closes idle connections after ${idleMs / 1000}s`,
              },
            ]
          : []),
        ...(requests !== undefined && requests > 1 && closesAfterAnswers
          ? [
              {
                path: "spec.resilience.connections.maxRequestsPerConnection",
                message: `maxRequestsPerConnection ${requests} reuses connections that ${server} closes after a stream`,
              },
            ]
          : []),
      ];
    },
  },
];
