import { setTimeout as sleep } from "node:timers/promises";
import { clone } from "@bufbuild/protobuf";
import {
  type InferenceRoute,
  InferenceRouteSchema,
} from "../../../control/gen/weir/v1/route_pb.ts";
import type { ApiClients } from "../../api/clients.ts";
import { measuredRoute } from "../../e2e/measured-route.ts";
import { namespaces, quiet } from "../namespaces.ts";
import type { Writing } from "./writing.ts";

/** A route of a namespace, with these pods, under a host that tells both. */
export function routeOf(
  namespace: string,
  name: string,
  endpoints: readonly string[],
): InferenceRoute {
  const route = measuredRoute("canary", name, endpoints);
  if (route.metadata) route.metadata.namespace = namespace;
  if (route.spec) route.spec.hosts = [hostOf(namespace, name)];
  return route;
}

export const hostOf = (namespace: string, name: string) => `${name}.${namespace}.example.com`;

export interface PeopleOptions {
  calls: ApiClients;
  writing: Writing;
  endpoints: readonly string[];
  random: () => number;
  /** Mean time between two writes. */
  everyMs: number;
}

type Deed = (options: PeopleOptions) => Promise<unknown>;

const pick = <T>(from: readonly T[], random: () => number) =>
  from[Math.floor(random() * from.length)] as T;

/** In hundredths, so that hardly two writes ask for the same. */
const anyWeight = (random: () => number) => 1 + Math.floor(random() * 9_800) / 100;

/** What people do; the likelier the more often it is named. */
const deeds: Deed[] = [shift, shift, shift, shift, edit, comeAndGo, mistake];

async function shift({ calls, writing, random }: PeopleOptions): Promise<void> {
  const name = `${pick(namespaces, random)}/chat`;
  const weights = { canary: anyWeight(random) };
  await writing.write(name, "shift", (reason) =>
    calls.routes.shiftWeights({ name, weights, reason }),
  );
}

/** Reads a document, changes something in it, and writes it against what was read. */
async function edit({ calls, writing, random }: PeopleOptions): Promise<void> {
  const name = `${pick(namespaces, random)}/chat`;
  const { state } = await calls.routes.getRoute({ name });
  if (state?.route === undefined) return;
  const route = clone(InferenceRouteSchema, state.route);
  const gold = route.spec?.rateLimit?.tiers.gold;
  if (gold) gold.burst = 50_000 + Math.floor(random() * 10_000);
  await writing.write(name, "edit", (reason) =>
    calls.routes.applyRoute({ route, etag: state.etag, reason }),
  );
}

/** A route that is there for a moment; names are few, so that what was left behind is met again. */
async function comeAndGo({ calls, writing, endpoints, random }: PeopleOptions): Promise<void> {
  const namespace = pick(quiet, random);
  const short = `brief-${Math.floor(random() * 8)}`;
  const name = `${namespace}/${short}`;
  const route = routeOf(namespace, short, endpoints);
  await writing.write(name, "create", (reason) =>
    calls.routes.applyRoute({ route, etag: "0", reason }),
  );
  await sleep(500 + random() * 2_000);
  const { state } = await calls.routes.getRoute({ name });
  if (state === undefined) return;
  const { etag } = state;
  const gone = await writing.write(name, "delete", async (reason) => {
    await calls.routes.deleteRoute({ name, etag, reason });
    return {};
  });
  if (gone) writing.gone(name, etag);
}

/** What the service has to refuse, whole. */
async function mistake({ calls, writing, endpoints, random }: PeopleOptions): Promise<void> {
  const namespace = pick(namespaces, random);
  const name = `${namespace}/chat`;
  const wrong = routeOf(namespace, "chat", endpoints);
  for (const variant of wrong.spec?.variants ?? []) variant.weight = 77;
  await pick(
    [
      () =>
        writing.write(name, "wrong weights", (reason) =>
          calls.routes.applyRoute({ route: wrong, reason }),
        ),
      () =>
        writing.write(name, "stale", (reason) =>
          calls.routes.shiftWeights({ name, weights: { canary: 5 }, etag: "1", reason }),
        ),
      () =>
        writing.write(name, "unknown variant", (reason) =>
          calls.routes.shiftWeights({ name, weights: { nobody: 5 }, reason }),
        ),
    ],
    random,
  )();
}

/** Starts someone who writes now and then until told to stop. */
export function startPerson(options: PeopleOptions): { stop(): Promise<void> } {
  let over = false;
  const living = (async () => {
    while (!over) {
      await pick(
        deeds,
        options.random,
      )(options).catch(() => {
        // A read found no one: the service is being restarted.
      });
      await sleep(options.everyMs * (0.5 + options.random()));
    }
  })();
  return {
    async stop() {
      over = true;
      await living;
    },
  };
}
