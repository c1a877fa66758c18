import { expect } from "vitest";
import { type Rule, type Scene, withClusters, withEndpoints } from "./rules.ts";
import { urlOf } from "./world.ts";

const ab = { a: 1, b: 1 };
const versions = "ACK/NACK and resource type instance version";

/** A client that came, has all clusters and went; what it would say of them when it comes back. */
async function left(scene: Scene) {
  const client = await withClusters(scene);
  const initial = client.versions("CDS");
  const version = scene.runs("CDS") ? await versionOf(scene) : "";
  client.close();
  return { initial, version };
}

async function versionOf(scene: Scene): Promise<string> {
  const client = scene.connect("another");
  client.want("CDS", []);
  const { version } = await client.next("CDS");
  client.close();
  return version;
}

export const streamRules: readonly Rule[] = [
  {
    paragraph: versions,
    rule: "who comes back with all that * would bring is left alone, and counts as running it",
    async run(scene) {
      scene.publish({ CDS: ab });
      const { initial, version } = await left(scene);
      const back = scene.connect();
      back.want("CDS", [], { initial, version });
      await back.silence();
      expect(scene.runs("CDS")).toBe(true);
      scene.publish({ CDS: { a: 2, b: 1 } });
      expect((await back.next("CDS")).resources).toMatchObject({ a: 2 });
    },
  },
  {
    paragraph: versions,
    rule: "who comes back before anything is known is left alone as well, once it is",
    async run(scene) {
      scene.publish({ CDS: ab });
      const { initial, version } = await left(scene);
      const fresh = scene.connect("first");
      fresh.want("CDS", [], { initial, version });
      await fresh.silence();
    },
  },
  {
    paragraph: versions,
    rule: "who comes back with names is sent them: they may be new to it",
    only: "state of the world",
    async run(scene) {
      scene.publish({ EDS: ab });
      const client = await withEndpoints(scene, ["a", "b"]);
      const before = client.has("EDS");
      client.close();
      const again = scene.connect("another");
      again.want("EDS", ["a", "b"]);
      const { version } = await again.next("EDS");
      const back = scene.connect();
      back.want("EDS", ["a", "b"], { version });
      expect((await back.next("EDS")).resources).toEqual(before);
    },
  },
  {
    paragraph: "Incremental xDS",
    rule: "who comes back with some, stale and unknown versions is sent what it lacks and told what is gone",
    only: "delta",
    async run(scene) {
      scene.publish({ CDS: { ...ab, c: 1 } });
      const { initial } = await left(scene);
      const { c: _, ...some } = initial;
      const back = scene.connect();
      back.want("CDS", [], { initial: { ...some, b: "stale", gone: "x" } });
      const { resources, removed } = await back.next("CDS");
      expect([resources, removed]).toEqual([{ b: 1, c: 1 }, ["gone"]]);
      const named = scene.connect();
      named.want("CDS", ["a", "b", "gone", "never"], {
        initial: { ...some, b: "stale", gone: "x", "not-wanted": "y" },
      });
      const answer = await named.next("CDS");
      expect(answer.resources).toEqual({ b: 1 });
      expect([...answer.removed].sort()).toEqual(["gone", "never"]);
    },
  },
  {
    paragraph: "Incremental xDS",
    rule: "versions count in the first request of a type alone",
    only: "delta",
    async run(scene) {
      scene.publish({ CDS: ab });
      const { initial } = await left(scene);
      const client = scene.connect();
      client.want("CDS", ["a"]);
      await client.next("CDS");
      client.want("CDS", ["a", "b"], { initial });
      expect((await client.next("CDS")).resources).toEqual({ b: 1 });
    },
  },
  {
    paragraph: "Incremental xDS",
    rule: "nothing of an earlier stream is taken over",
    async run(scene) {
      scene.publish({ CDS: ab });
      await left(scene);
      const back = scene.connect();
      back.want("CDS", ["a"]);
      expect((await back.next("CDS")).resources).toEqual({ a: 1 });
      scene.publish({ CDS: { a: 1, b: 2 } });
      await back.silence();
    },
  },
  {
    paragraph: "Eventual consistency considerations",
    rule: "clusters come first, then endpoints, listeners, routes and extensions, in whatever order they are asked for",
    async run({ publish, connect }) {
      const world = (revision: number) => {
        const a = { a: revision };
        return { CDS: a, EDS: a, LDS: a, RDS: a, ECDS: a };
      };
      publish(world(1));
      const client = connect();
      const order = ["CDS", "EDS", "LDS", "ECDS"] as const;
      for (const type of [...order].reverse()) {
        client.want(type, ["a"]);
        await client.next(type);
        client.ack(type);
      }
      // Endpoints that were asked for before their clusters come with these once more.
      await client.next("EDS");
      await client.silence();
      publish(world(2));
      await client.settled();
      expect(client.waiting()).toEqual(order.map(urlOf));
    },
  },
  {
    paragraph: "Resource warming",
    rule: "endpoints come again after their clusters changed, although they did not",
    async run(scene) {
      scene.publish({ CDS: ab, EDS: ab });
      const client = await withClusters(scene);
      client.want("EDS", ["a", "b"]);
      await client.next("EDS");
      client.ack("EDS");
      scene.publish({ CDS: { a: 2, b: 1 }, EDS: ab });
      await client.next("CDS");
      expect((await client.next("EDS")).resources).toMatchObject({ a: 1 });
      client.ack("CDS");
      client.ack("EDS");
      await client.silence();
    },
  },
  {
    paragraph: "Requesting Multiple Resources on a Single Stream",
    rule: "streams of one node are told apart: nonces, names, versions and refusals are each one's own",
    async run({ publish, connect }) {
      publish({ EDS: ab, CDS: ab });
      const [one, two] = [connect("same"), connect("same")];
      one.want("EDS", ["a"]);
      expect((await one.next("EDS")).resources).toEqual({ a: 1 });
      two.want("EDS", ["b"]);
      const second = await two.next("EDS");
      expect(second.resources).toEqual({ b: 1 });
      one.ack("EDS");
      two.nack("EDS", "not on this one");
      await two.silence();
      publish({ EDS: { a: 2, b: 1 }, CDS: ab });
      expect((await one.next("EDS")).resources).toEqual({ a: 2 });
      await two.silence();
      // A nonce of the other stream answers nothing here.
      one.nack("EDS", "another's", second);
      two.want("EDS", ["a", "b"]);
      expect((await two.next("EDS")).resources).toMatchObject({ a: 2 });
      one.want("EDS", []);
      await one.silence();
      one.close();
      publish({ EDS: { a: 3, b: 3 }, CDS: ab });
      expect((await two.next("EDS")).resources).toEqual({ a: 3, b: 3 });
    },
  },
  {
    paragraph: "Requesting Multiple Resources on a Single Stream",
    rule: "a stream of each protocol of one node is served by its own rules",
    async run({ publish, connect }) {
      publish({ CDS: ab });
      const mine = connect("same");
      mine.want("CDS", []);
      await mine.next("CDS");
      mine.ack("CDS");
      publish({ CDS: { a: 2, b: 1 } });
      const { resources } = await mine.next("CDS");
      expect(resources).toEqual(mine.protocol === "delta" ? { a: 2 } : { a: 2, b: 1 });
    },
  },
];
