import { describe, expect, it } from "vitest";
import { deltaProtocol, readDelta } from "../../../control/xds/delta.ts";
import { createPublished, type Published } from "../../../control/xds/published.ts";
import { digestOf } from "../../../control/xds/snapshot.ts";
import { readSotw, sotwProtocol } from "../../../control/xds/sotw.ts";
import { type AdsStream, createAdsStream } from "../../../control/xds/stream.ts";
import { generator } from "../../random.ts";
import { codecs, type ProtocolName, type Response } from "./client.ts";
import { snapshotOfOnly, urlOf } from "./world.ts";

/** Whole numbers below a limit, the same ones for the same seed. */
function randomOf(seed: number) {
  const next = generator(seed);
  return (below: number): number => (next() * 2 ** 32) % below;
}

type Type = "CDS" | "EDS";
const types: readonly Type[] = ["CDS", "EDS"];
const letters = ["a", "b", "c", "d", "e"];
/** What no client takes. */
const isBad = (revision: number) => revision % 5 === 4;

/** What a client wants and has of a type, on one stream or over several. */
interface Side {
  wildcard: boolean;
  names: Set<string>;
  has: Map<string, { revision: number; version: string }>;
  /** On this stream. */
  asked: boolean;
  explicit: boolean;
  nonce: string;
  version: string;
}

/** One client and one server that talk over a line which delivers in order and at its leisure. */
function play(protocol: ProtocolName, seed: number, steps: number): void {
  const random = randomOf(seed);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  const delta = protocol === "delta";
  const { encode, decode } = codecs[protocol];
  const read = delta ? readDelta : readSotw;
  const world: Record<Type, Record<string, number>> = { CDS: {}, EDS: {} };
  /** What each version is of. */
  const contents = new Map<string, Map<string, number>>();
  let number = 0;
  let published: Published | undefined;
  let stream: AdsStream;
  const toServer: { bytes: Buffer; sides: Record<Type, Side> }[] = [];
  const toClient: Response[] = [];
  let handled: Record<Type, Side> | undefined;
  const sides: Record<Type, Side> = { CDS: side(), EDS: side() };
  const trail: string[] = [];

  function side(): Side {
    return {
      wildcard: false,
      names: new Set(),
      has: new Map(),
      asked: false,
      explicit: false,
      nonce: "",
      version: "",
    };
  }

  /** A yes must be true: what the client has is what the version is of, as far as it wants it. */
  function isTrue(type: Type, version: string): void {
    const said = handled?.[type];
    for (const [name, revision] of contents.get(`${type} ${version}`) ?? [])
      if (said && (said.wildcard || said.names.has(name)))
        expect([name, said.has.get(name)?.revision], `${type} counts as run`).toEqual([
          name,
          revision,
        ]);
  }

  function open(): void {
    toServer.length = 0;
    toClient.length = 0;
    stream = createAdsStream(delta ? deltaProtocol : sotwProtocol, {
      sent: () => {},
      acked: (type, version) => isTrue(type.name as Type, version),
      nacked: () => {},
    });
    for (const type of types)
      Object.assign(sides[type], { asked: false, explicit: false, nonce: "" });
  }

  function flush(): void {
    if (published)
      stream.flush(published, (frame) => {
        toClient.push(decode(frame.subarray(5)));
        return true;
      });
  }

  function publish(): void {
    const snapshot = snapshotOfOnly(world);
    for (const type of types) {
      const all = [...snapshot[type].resources.values()];
      for (let mask = 0; mask < 1 << all.length; mask++) {
        const some = all.filter((_, bit) => mask & (1 << bit));
        const revisions = some.map(({ name }) => [name, world[type][name] ?? 0] as const);
        contents.set(`${type} ${digestOf(some)}`, new Map(revisions));
      }
    }
    published = createPublished(++number, snapshot, "run");
    flush();
  }

  function send(type: Type, fields: object): void {
    const mine = sides[type];
    const bytes = encode({ typeUrl: urlOf(type), ...fields } as never);
    mine.asked = true;
    toServer.push({ bytes, sides: structuredClone(sides) });
  }

  const listOf = ({ wildcard, names }: Side) => [...names, ...(wildcard ? ["*"] : [])];

  /** The first request of a type on a stream. */
  function ask(type: Type): void {
    const mine = sides[type];
    const names = listOf(mine);
    const legacy = type === "CDS" && mine.wildcard && mine.names.size === 0 && random(2) === 0;
    mine.explicit = !legacy && names.length > 0;
    const versions = [...mine.has].filter(() => random(4) > 0);
    send(
      type,
      delta
        ? {
            resourceNamesSubscribe: legacy ? [] : names,
            initialResourceVersions: Object.fromEntries(
              versions.map(([name, { version }]) => [name, version]),
            ),
          }
        : { resourceNames: legacy ? [] : names, versionInfo: mine.version },
    );
    // What it does not say it has, it does not have.
    if (delta) mine.has = new Map(versions);
  }

  function change(type: Type): void {
    const mine = sides[type];
    const name = type === "CDS" && random(4) === 0 ? "*" : pick(letters);
    const leaves = name === "*" ? mine.wildcard : mine.names.has(name) && random(3) > 0;
    if (name === "*") mine.wildcard = !leaves;
    else if (leaves) mine.names.delete(name);
    else mine.names.add(name);
    for (const held of mine.has.keys())
      if (!mine.wildcard && !mine.names.has(held)) mine.has.delete(held);
    // Asked for once more, it has forgotten what it had.
    if (!leaves && delta && name !== "*") mine.has.delete(name);
    if (!mine.asked) return;
    const names = listOf(mine);
    // An empty list would mean everything to a server that was never told a name.
    if (!delta && names.length === 0 && !mine.explicit) names.push("none");
    mine.explicit = true;
    const nonce = delta && random(2) === 0 ? "" : mine.nonce;
    send(
      type,
      delta
        ? {
            [leaves ? "resourceNamesUnsubscribe" : "resourceNamesSubscribe"]: [name],
            responseNonce: random(3) === 0 ? "stale" : nonce,
          }
        : { resourceNames: names, responseNonce: nonce, versionInfo: mine.version },
    );
  }

  function take(): void {
    const response = toClient.shift();
    if (response === undefined) return;
    const type = types.find((each) => urlOf(each) === response.url) as Type;
    const mine = sides[type];
    mine.nonce = response.nonce;
    const wanted = (name: string) => mine.wildcard || mine.names.has(name);
    const resources = Object.entries(response.resources).filter(([name]) => wanted(name));
    const bad = resources.filter(([, revision]) => isBad(revision)).map(([name]) => name);
    // State of the world is refused as a whole, of delta only what is bad.
    if (bad.length === 0 || delta) {
      if (!delta && type === "CDS") mine.has.clear();
      for (const name of response.removed) mine.has.delete(name);
      for (const [name, revision] of resources)
        if (!bad.includes(name))
          mine.has.set(name, { revision, version: response.versions[name] ?? "" });
    }
    if (bad.length === 0) mine.version = response.version;
    const names = listOf(mine);
    send(type, {
      responseNonce: response.nonce,
      ...(delta ? {} : { resourceNames: mine.explicit ? names : [], versionInfo: mine.version }),
      ...(bad.length > 0 ? { errorDetail: { code: 13, message: `not ${bad.join(", ")}` } } : {}),
    });
  }

  function serve(): void {
    const next = toServer.shift();
    if (next === undefined) return;
    handled = next.sides;
    expect(stream.receive(read(next.bytes).request)).toBeUndefined();
    flush();
  }

  function edit(): void {
    const of = world[pick(types)];
    const name = pick(letters);
    if (random(3) === 0) delete of[name];
    else of[name] = (of[name] ?? 0) + 1 + random(3);
    publish();
  }

  function reconnect(): void {
    open();
    for (const type of types) if (random(3) > 0) ask(type);
  }

  sides.CDS.wildcard = random(2) === 0;
  open();
  const actions: [string, () => void][] = [
    ["edit", edit],
    ["change CDS", () => change("CDS")],
    ["change EDS", () => change("EDS")],
    ["ask", () => types.forEach((type) => void (sides[type].asked || ask(type)))],
    ["serve", serve],
    ["serve", serve],
    ["take", take],
    ["take", take],
  ];
  const settle = () => {
    for (let turns = 0; toServer.length + toClient.length > 0; turns++) {
      if (turns > 500) throw new Error("the two never come to rest");
      serve();
      take();
    }
  };
  try {
    for (let step = 0; step < steps; step++) {
      const [name, act] = random(25) === 0 ? (["reconnect", reconnect] as const) : pick(actions);
      trail.push(name);
      act();
    }
    for (const type of types) {
      if (!sides[type].asked) ask(type);
      // Good ones in place of all that may have been refused.
      for (const name of Object.keys(world[type])) {
        const revision = (world[type][name] ?? 0) + 1;
        world[type][name] = isBad(revision) ? revision + 1 : revision;
      }
    }
    settle();
    publish();
    settle();
    for (const type of types) {
      const { wildcard, names, has } = sides[type];
      const there = Object.entries(world[type]).filter(([name]) => wildcard || names.has(name));
      // The state of the world does not say that endpoints are gone.
      const held = [...has].filter(([name]) => delta || type === "CDS" || name in world[type]);
      const revisions = held.map(([name, { revision }]) => [name, revision]);
      expect(Object.fromEntries(revisions), type).toEqual(Object.fromEntries(there));
    }
  } catch (error) {
    throw new Error(`seed ${seed}, after ${trail.join(", ")}: ${error}`, { cause: error });
  }
}

describe.each<ProtocolName>(["state of the world", "delta"])("X19: over %s", (protocol) => {
  const runs = process.env.WEIR_LONG ? 20_000 : 120;
  it(`a client has what it wants after ${runs} random talks of any order, and each yes is true`, () => {
    for (let seed = 1; seed <= runs; seed++) play(protocol, seed, 20 + (seed % 80));
  }, 3_600_000);
});
