import { expect } from "vitest";
import type { Client, ProtocolName } from "./client.ts";
import type { World } from "./world.ts";

/** One sentence of the xDS protocol document, and what a client sees if it holds. */
export interface Rule {
  /** Heading in xds_protocol.rst. */
  paragraph: string;
  rule: string;
  /** Absent: it holds for both protocols. */
  only?: ProtocolName;
  run(scene: Scene): Promise<void>;
}

/** A server that nothing was published on yet. */
export interface Scene {
  publish(world: World): void;
  /** A new stream of the protocol that is tested. */
  connect(node?: string): Client;
  /** What the server takes the proxy to run: "", or the version that it was sent last. */
  runs(type: "CDS" | "EDS" | "LDS" | "RDS" | "ECDS", node?: string): boolean;
  /** Refusals that the server has heard. */
  refusals(): readonly string[];
}

const ab = { a: 1, b: 1 };

/** A client that has these endpoints and said yes. */
export async function withEndpoints(scene: Scene, names: readonly string[]): Promise<Client> {
  const client = scene.connect();
  client.want("EDS", names);
  await client.next("EDS");
  client.ack("EDS");
  await client.settled();
  return client;
}

/** A client that has all clusters, or those it names, and said yes. */
export async function withClusters(scene: Scene, names: readonly string[] = []): Promise<Client> {
  const client = scene.connect();
  client.want("CDS", names);
  await client.next("CDS");
  client.ack("CDS");
  await client.settled();
  return client;
}

export const rules: readonly Rule[] = [
  {
    paragraph: "Basic Protocol Overview",
    rule: "the first request is answered with what it subscribes to",
    async run({ publish, connect }) {
      publish({ EDS: { ...ab, c: 1 } });
      const client = connect();
      client.want("EDS", ["a", "b"]);
      expect((await client.next("EDS")).resources).toEqual(ab);
      await client.silence();
    },
  },
  {
    paragraph: "Basic Protocol Overview",
    rule: "every response has a nonce that the stream has not seen",
    async run({ publish, connect }) {
      publish({ EDS: ab });
      const client = connect();
      const nonces = new Set<string>();
      client.want("EDS", ["a"]);
      nonces.add((await client.next("EDS")).nonce);
      client.want("EDS", ["a", "b"]);
      nonces.add((await client.next("EDS")).nonce);
      publish({ EDS: { a: 2, b: 1 } });
      nonces.add((await client.next("EDS")).nonce);
      publish({ EDS: { a: 3, b: 1 } });
      nonces.add((await client.next("EDS")).nonce);
      expect(nonces.size).toBe(4);
      expect(nonces).not.toContain("");
    },
  },
  {
    paragraph: "Basic Protocol Overview",
    rule: "a nonce does not survive the stream: with one of another stream, a first request is a new subscription",
    async run({ publish, connect }) {
      publish({ EDS: ab });
      const first = connect();
      first.want("EDS", ["a"]);
      const { nonce } = await first.next("EDS");
      first.close();
      const second = connect();
      second.want("EDS", ["a"], { nonce });
      expect((await second.next("EDS")).resources).toEqual({ a: 1 });
    },
  },
  {
    paragraph: "Basic Protocol Overview",
    rule: "a nonce of another stream does not make a later request old while nothing was sent on this one",
    async run({ publish, connect }) {
      publish({ EDS: ab });
      const client = connect();
      client.want("EDS", []);
      await client.settled();
      client.want("EDS", ["a"], { nonce: "of-another-stream" });
      expect((await client.next("EDS")).resources).toEqual({ a: 1 });
    },
  },
  {
    paragraph: "Basic Protocol Overview",
    rule: "only the first request carries the node, and what later ones say of it is not looked at",
    async run({ publish, connect, runs }) {
      publish({ CDS: ab, EDS: ab });
      const client = connect("me");
      client.want("CDS", []);
      await client.next("CDS");
      client.want("EDS", ["a"], { node: { id: "someone-else" } });
      await client.next("EDS");
      client.ack("EDS");
      await client.settled();
      expect([runs("EDS", "me"), runs("EDS", "someone-else")]).toEqual([false, false]);
      client.want("EDS", ["a", "b"], { node: { id: "" } });
      await client.next("EDS");
      client.ack("EDS");
      await client.settled();
      expect([runs("EDS", "me"), runs("EDS", "someone-else")]).toEqual([true, false]);
    },
  },
  {
    paragraph: "ACK",
    rule: "an ACK is not answered, and what it accepts counts as run",
    async run({ publish, connect, runs }) {
      publish({ CDS: ab });
      const client = connect();
      client.want("CDS", []);
      await client.next("CDS");
      await client.settled();
      expect(runs("CDS")).toBe(false);
      client.ack("CDS");
      await client.silence();
      expect(runs("CDS")).toBe(true);
    },
  },
  {
    paragraph: "NACK",
    rule: "a NACK is not answered until there is something else, and what is refused does not count as run",
    async run({ publish, connect, runs, refusals }) {
      publish({ CDS: ab });
      const client = connect();
      client.want("CDS", []);
      await client.next("CDS");
      client.nack("CDS", "no such thing");
      await client.silence();
      expect(runs("CDS")).toBe(false);
      expect(refusals()).toEqual(["no such thing"]);
      publish({ CDS: ab });
      await client.silence();
      publish({ CDS: { a: 2, b: 1 } });
      await client.next("CDS");
      client.ack("CDS");
      await client.silence();
      expect(client.has("CDS")).toEqual({ a: 2, b: 1 });
      expect(runs("CDS")).toBe(true);
    },
  },
  {
    paragraph: "ACK and NACK semantics summary",
    rule: "error_detail alone makes a NACK, also with an empty message",
    async run({ publish, connect, runs, refusals }) {
      publish({ CDS: ab });
      const client = connect();
      client.want("CDS", []);
      await client.next("CDS");
      client.nack("CDS", "");
      await client.silence();
      expect(refusals()).toEqual(["refused without a message (code 13)"]);
      expect(runs("CDS")).toBe(false);
    },
  },
  {
    paragraph: "ACK and NACK semantics summary",
    rule: "the nonce tells which response is refused: without one, none is, and the names count",
    async run({ publish, connect, refusals }) {
      publish({ EDS: ab });
      const client = await withEndpoints({ publish, connect } as Scene, ["a"]);
      client.want("EDS", ["a", "b"], { nonce: "", refusal: { message: "of nothing" } });
      expect((await client.next("EDS")).resources).toMatchObject({ b: 1 });
      expect(refusals()).toEqual([]);
    },
  },
  {
    paragraph: "ACK and NACK semantics summary",
    rule: "an answer with a nonce that was never sent counts for nothing",
    async run({ publish, connect, runs, refusals }) {
      publish({ CDS: ab });
      const client = connect();
      client.want("CDS", []);
      const response = await client.next("CDS");
      client.ack("CDS", { ...response, nonce: "made-up" });
      client.nack("CDS", "no", { ...response, nonce: "made-up" });
      await client.silence();
      expect([runs("CDS"), refusals()]).toEqual([false, []]);
    },
  },
  {
    paragraph: "ACK and NACK semantics summary",
    rule: "a request at an accepted nonce that says another version is no ACK",
    only: "state of the world",
    async run({ publish, connect, runs }) {
      publish({ EDS: ab });
      const client = connect();
      client.want("EDS", ["a", "b"]);
      const { nonce } = await client.next("EDS");
      client.want("EDS", ["a", "b"], { nonce, version: "what-it-ran-before" });
      await client.silence();
      expect(runs("EDS")).toBe(false);
    },
  },
  {
    paragraph: "NACK",
    rule: "a subscription that changes in a NACK is honoured",
    async run({ publish, connect, runs }) {
      publish({ EDS: ab });
      const client = connect();
      client.want("EDS", ["a"]);
      const { nonce } = await client.next("EDS");
      client.want("EDS", ["a", "b"], { nonce, refusal: { code: 13, message: "not a" } });
      expect((await client.next("EDS")).resources).toMatchObject({ b: 1 });
      await client.settled();
      expect(runs("EDS")).toBe(false);
    },
  },
  {
    paragraph: "NACK",
    rule: "a later yes does not take back the no to an earlier response that still stands",
    only: "delta",
    async run({ publish, connect, runs, refusals }) {
      publish({ CDS: ab });
      const client = await withClusters({ publish, connect } as Scene);
      publish({ CDS: { a: 2, b: 1 } });
      const bad = await client.next("CDS");
      publish({ CDS: { a: 2, b: 2 } });
      const good = await client.next("CDS");
      expect(good.resources).toEqual({ b: 2 });
      client.nack("CDS", "not a", bad);
      client.ack("CDS", good);
      await client.silence();
      expect(runs("CDS")).toBe(false);
      expect(refusals()).toContain("not a");
      publish({ CDS: { a: 3, b: 2 } });
      expect((await client.next("CDS")).resources).toEqual({ a: 3 });
      client.ack("CDS");
      await client.silence();
      expect(runs("CDS")).toBe(true);
    },
  },
  {
    paragraph: "NACK",
    rule: "a refusal of what was replaced since counts for nothing",
    only: "delta",
    async run({ publish, connect, runs, refusals }) {
      publish({ CDS: ab });
      const client = await withClusters({ publish, connect } as Scene);
      publish({ CDS: { a: 2, b: 1 } });
      const bad = await client.next("CDS");
      publish({ CDS: { a: 3, b: 1 } });
      const good = await client.next("CDS");
      client.nack("CDS", "not a", bad);
      client.ack("CDS", good);
      await client.silence();
      expect([runs("CDS"), refusals()]).toEqual([true, []]);
    },
  },
  {
    paragraph: "When to send an update",
    rule: "the same state published again is not sent, and of another only the types that changed",
    async run({ publish, connect }) {
      const state = { CDS: ab, EDS: ab };
      publish(state);
      const client = await withClusters({ publish, connect } as Scene);
      client.want("EDS", ["a"]);
      await client.next("EDS");
      client.ack("EDS");
      publish({ ...state });
      await client.silence();
      publish({ CDS: ab, EDS: { a: 2, b: 1 } });
      await client.next("EDS");
      await client.silence();
    },
  },
  {
    paragraph: "When to send an update",
    rule: "what changes outside of a subscription is not sent",
    async run({ publish, connect }) {
      publish({ EDS: ab });
      const client = await withEndpoints({ publish, connect } as Scene, ["a"]);
      publish({ EDS: { a: 1, b: 2 } });
      await client.silence();
    },
  },
  {
    paragraph: "Resource updates",
    rule: "names that change in an ACK are sent",
    async run({ publish, connect }) {
      publish({ EDS: ab });
      const client = connect();
      client.want("EDS", ["a"]);
      const { nonce, version } = await client.next("EDS");
      client.want("EDS", ["a", "b"], { nonce, version });
      expect((await client.next("EDS")).resources).toMatchObject({ b: 1 });
    },
  },
  {
    paragraph: "Resource updates",
    rule: "a request with a stale nonce is not answered, and the answer to the newest response carries its names",
    only: "state of the world",
    async run({ publish, connect, runs }) {
      publish({ EDS: ab });
      const client = connect();
      client.want("EDS", ["a"]);
      const old = await client.next("EDS");
      publish({ EDS: { a: 2, b: 1 } });
      await client.next("EDS");
      client.want("EDS", ["a", "b"], { nonce: old.nonce, version: old.version });
      await client.silence();
      expect(runs("EDS")).toBe(false);
      client.ack("EDS");
      expect((await client.next("EDS")).resources).toEqual({ a: 2, b: 1 });
    },
  },
  {
    paragraph: "Incremental xDS",
    rule: "changes of the subscription count even if the nonce is stale",
    only: "delta",
    async run({ publish, connect }) {
      publish({ EDS: { ...ab, c: 1 } });
      const client = connect();
      client.want("EDS", ["a", "c"]);
      const old = await client.next("EDS");
      publish({ EDS: { a: 2, b: 1, c: 1 } });
      await client.next("EDS");
      client.change("EDS", ["b"], ["c"], { nonce: old.nonce });
      expect((await client.next("EDS")).resources).toEqual({ b: 1 });
      publish({ EDS: { a: 2, b: 1, c: 2 } });
      await client.silence();
      client.change("EDS", ["c"], [], { nonce: old.nonce, refusal: { message: "no" } });
      expect((await client.next("EDS")).resources).toEqual({ c: 2 });
    },
  },
  {
    paragraph: "Incremental xDS",
    rule: "a request that nothing called for needs no nonce",
    only: "delta",
    async run({ publish, connect }) {
      publish({ EDS: ab });
      const client = await withEndpoints({ publish, connect } as Scene, ["a"]);
      client.change("EDS", ["b"]);
      expect((await client.next("EDS")).resources).toEqual({ b: 1 });
    },
  },
];
