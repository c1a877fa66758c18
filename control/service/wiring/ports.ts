import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { ApiContext } from "../../api/index.ts";
import type { createGate } from "../../auth/index.ts";
import type { Store } from "../../store/index.ts";
import type { Address } from "../../xds/index.ts";
import { lastCallsMs } from "../ports/going-away.ts";
import { createHttp2Server, type Listening, listenBoth, listenHttp2 } from "../ports/listen.ts";
import { createRequests } from "../ports/requests.ts";
import { createXdsStreams } from "../ports/xds-streams.ts";
import type { ServedFleet } from "./fleet.ts";
import type { ServerOptions } from "./options.ts";

/** The two ports of the control service. */
export interface Ports {
  /** @returns the address that it got. @throws ListenError */
  listenForCalls(): Promise<Address>;
  /** @returns the address that it got. @throws ListenError */
  listenForProxies(): Promise<Address>;
  /** Waits until calls that are on their way have been read and answered. */
  answerLastCalls(): Promise<void>;
  /** Stops to listen, and ends what is open after a moment. */
  close(): Promise<void>;
}

export interface PortInputs {
  gate: ReturnType<typeof createGate>;
  store: Store;
  served: Pick<ServedFleet, "metrics" | "holds" | "xds">;
  context: ApiContext;
  /** Aborts when this service ends; the reason is what watches end with. */
  goingAway: AbortSignal;
}

/** Makes what answers on the two ports; neither listens yet. */
export function openPorts(
  options: ServerOptions,
  { gate, store, served: { metrics, holds, xds }, context, goingAway }: PortInputs,
): Ports {
  const open: Listening[] = [];
  let started = false;
  const onRequest = createRequests({
    goingAway,
    gate,
    allowedHosts: options.allowedHosts ?? [],
    context,
    metrics,
    startsWith() {
      if (goingAway.aborted) return "the control service is shutting down";
      return started ? undefined : "the xDS server does not listen yet";
    },
    holds,
    store,
    interceptors: options.interceptors ?? [],
    log: options.log,
  });
  const http2 = createHttp2Server(gate.tls, true);
  http2.on("request", onRequest as never);
  const xdsHttp2 = createHttp2Server(gate.tls);
  xdsHttp2.on("stream", createXdsStreams(gate, xds, options.log));

  return {
    async listenForCalls() {
      const listening = await listenBoth(options.listen, "--listen", onRequest, http2);
      open.push(listening);
      return listening.address;
    },
    async listenForProxies() {
      const listening = await listenHttp2(options.xds, "--xds", xdsHttp2);
      open.push(listening);
      started = true;
      return listening.address;
    },
    async answerLastCalls() {
      if (open.length === 0) return;
      await sleep(lastCallsMs);
      // The last of them is read in this turn.
      await nextTurn();
    },
    async close() {
      await Promise.all(open.map((each) => each.close()));
    },
  };
}
