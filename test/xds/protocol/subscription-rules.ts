import { expect } from "vitest";
import { type Rule, withClusters, withEndpoints } from "./rules.ts";

const ab = { a: 1, b: 1 };
const hints = "How the client specifies what resources to return";

export const subscriptionRules: readonly Rule[] = [
  {
    paragraph: hints,
    rule: "a name that is dropped and asked for again is sent again",
    async run(scene) {
      scene.publish({ EDS: ab });
      const client = await withEndpoints(scene, ["a", "b"]);
      client.want("EDS", ["a"]);
      client.want("EDS", ["a", "b"]);
      expect((await client.next("EDS")).resources).toMatchObject({ b: 1 });
      client.ack("EDS");
      client.want("EDS", []);
      await client.silence();
      client.want("EDS", ["a", "b"]);
      expect((await client.next("EDS")).resources).toEqual(ab);
    },
  },
  {
    paragraph: hints,
    rule: "a name that is asked for after * is sent again",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = await withClusters(scene, ["*"]);
      client.want("CDS", ["*", "a"]);
      expect((await client.next("CDS")).resources).toMatchObject({ a: 1 });
    },
  },
  {
    paragraph: hints,
    rule: "no names at first mean all, after * they mean none",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = await withClusters(scene);
      expect(client.has("CDS")).toEqual(ab);
      client.want("CDS", ["*"]);
      await client.settled();
      client.want("CDS", []);
      await client.settled();
      const before = client.waiting().length;
      scene.publish({ CDS: { a: 2, b: 2 } });
      await client.settled();
      expect(client.waiting()).toHaveLength(before);
    },
  },
  {
    paragraph: hints,
    rule: "no names after a name mean none",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = await withClusters(scene, ["a"]);
      expect(client.has("CDS")).toEqual({ a: 1 });
      client.want("CDS", []);
      await client.silence();
      scene.publish({ CDS: { a: 2, b: 2 } });
      await client.silence();
    },
  },
  {
    paragraph: hints,
    rule: "* and names: each is let go for itself",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = await withClusters(scene, ["*", "a"]);
      expect(client.has("CDS")).toEqual(ab);
      client.want("CDS", ["a"]);
      await client.silence();
      scene.publish({ CDS: { a: 1, b: 2 } });
      await client.silence();
      scene.publish({ CDS: { a: 2, b: 2 } });
      expect((await client.next("CDS")).resources).toEqual({ a: 2 });
      client.ack("CDS");
      client.want("CDS", ["a", "*"]);
      expect((await client.next("CDS")).resources).toMatchObject({ b: 2 });
    },
  },
  {
    paragraph: hints,
    rule: "types without * have none: no names mean nothing",
    async run(scene) {
      scene.publish({ EDS: ab });
      const client = scene.connect();
      client.want("EDS", []);
      client.want("EDS", ["*"]);
      await client.settled();
      expect(client.has("EDS")).toEqual({});
    },
  },
  {
    paragraph: "Grouping Resources into Responses",
    rule: "one that changed: all clusters of the state of the world, only it of delta",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = await withClusters(scene);
      scene.publish({ CDS: { a: 1, b: 2 } });
      const { resources } = await client.next("CDS");
      expect(resources).toEqual(client.protocol === "delta" ? { b: 2 } : { a: 1, b: 2 });
      expect(client.has("CDS")).toEqual({ a: 1, b: 2 });
    },
  },
  {
    paragraph: "Duplicate Resource Names",
    rule: "what is named twice, and by * as well, is sent once",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = scene.connect();
      client.want("CDS", ["a", "*", "a", "b"]);
      expect((await client.next("CDS")).resources).toEqual(ab);
    },
  },
  ...["*", "a, b"].map(
    (names): Rule => ({
      paragraph: "Deleting Resources",
      rule: `a cluster that goes is deleted from who asked for ${names}, also the last one, and comes back`,
      async run(scene) {
        scene.publish({ CDS: ab });
        const client = await withClusters(scene, names.split(", "));
        for (const clusters of [{ a: 1 }, {}, { b: 1 }] as Record<string, number>[]) {
          scene.publish({ CDS: clusters });
          await client.next("CDS");
          client.ack("CDS");
          await client.silence();
          expect(client.has("CDS")).toEqual(clusters);
          expect(scene.runs("CDS")).toBe(true);
        }
      },
    }),
  ),
  {
    paragraph: "Deleting Resources",
    rule: "endpoints that go: the state of the world is silent, delta names them, and both count as run",
    async run(scene) {
      scene.publish({ EDS: ab });
      const client = await withEndpoints(scene, ["a", "b"]);
      scene.publish({ EDS: { a: 1 } });
      if (client.protocol === "delta") {
        expect((await client.next("EDS")).removed).toEqual(["b"]);
        client.ack("EDS");
      }
      await client.silence();
      expect(scene.runs("EDS")).toBe(true);
      scene.publish({ EDS: ab });
      expect((await client.next("EDS")).resources).toMatchObject({ b: 1 });
    },
  },
  {
    paragraph: "Knowing When a Requested Resource Does Not Exist",
    rule: "what does not exist is named over delta, and sent over both once it does",
    async run(scene) {
      scene.publish({ EDS: { a: 1 } });
      const client = scene.connect();
      client.want("EDS", ["a", "b"]);
      const first = await client.next("EDS");
      expect(first.resources).toEqual({ a: 1 });
      expect(first.removed).toEqual(client.protocol === "delta" ? ["b"] : []);
      client.ack("EDS");
      await client.silence();
      scene.publish({ EDS: ab });
      expect((await client.next("EDS")).resources).toMatchObject({ b: 1 });
      client.ack("EDS");
      await client.silence();
    },
  },
  {
    paragraph: "Knowing When a Requested Resource Does Not Exist",
    rule: "a request that comes before anything is known is held",
    async run(scene) {
      const client = scene.connect();
      client.want("EDS", ["a", "b"]);
      scene.publish({ EDS: { a: 1 } });
      const first = await client.next("EDS");
      expect(first.resources).toEqual({ a: 1 });
      expect(first.removed).toEqual(client.protocol === "delta" ? ["b"] : []);
    },
  },
  {
    paragraph: "Knowing When a Requested Resource Does Not Exist",
    rule: "a wildcard that finds nothing is answered all the same",
    async run(scene) {
      scene.publish({});
      const client = scene.connect();
      client.want("CDS", []);
      expect(await client.next("CDS")).toMatchObject({ resources: {}, removed: [] });
      client.ack("CDS");
      await client.silence();
      scene.publish({ CDS: { a: 1 } });
      expect((await client.next("CDS")).resources).toEqual({ a: 1 });
    },
  },
  {
    paragraph: "Unsubscribing From Resources",
    rule: "letting go of a name is not answered, and it is no longer followed",
    async run(scene) {
      scene.publish({ EDS: ab, CDS: ab });
      const client = await withEndpoints(scene, ["a", "b"]);
      client.want("EDS", ["a"]);
      await client.silence();
      scene.publish({ EDS: { a: 1, b: 2 }, CDS: ab });
      await client.silence();
      const clusters = await withClusters(scene, ["a", "b"]);
      clusters.want("CDS", ["b"]);
      await clusters.silence();
    },
  },
  {
    paragraph: "Unsubscribing from Resources",
    rule: "letting go of what was never asked for does nothing",
    only: "delta",
    async run(scene) {
      scene.publish({ EDS: ab, CDS: ab });
      const client = await withEndpoints(scene, ["a"]);
      client.change("EDS", [], ["b", "never", "*"]);
      await client.silence();
      const clusters = await withClusters(scene);
      clusters.change("CDS", [], ["never"]);
      await clusters.silence();
      scene.publish({ EDS: { a: 2, b: 1 }, CDS: ab });
      expect((await client.next("EDS")).resources).toEqual({ a: 2 });
    },
  },
  {
    paragraph: "Unsubscribing from Resources",
    rule: "under *, letting go of a name is answered: with the resource, or that it is gone",
    only: "delta",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = scene.connect();
      client.change("CDS", ["*", "a", "gone"]);
      expect((await client.next("CDS")).removed).toEqual(["gone"]);
      client.ack("CDS");
      client.change("CDS", [], ["a"]);
      expect(await client.next("CDS")).toMatchObject({ resources: { a: 1 }, removed: [] });
      client.change("CDS", [], ["gone"]);
      expect(await client.next("CDS")).toMatchObject({ resources: {}, removed: ["gone"] });
      // What * alone brought as well: it may have been dropped.
      client.change("CDS", [], ["b"]);
      expect((await client.next("CDS")).resources).toEqual({ b: 1 });
      scene.publish({ CDS: { a: 2, b: 2 } });
      expect((await client.next("CDS")).resources).toEqual({ a: 2, b: 2 });
    },
  },
  {
    paragraph: "Unsubscribing from Resources",
    rule: "the legacy wildcard ends with * let go, and the names stay",
    only: "delta",
    async run(scene) {
      scene.publish({ CDS: ab });
      const client = await withClusters(scene);
      client.change("CDS", ["a"]);
      expect((await client.next("CDS")).resources).toEqual({ a: 1 });
      client.change("CDS", [], ["*"]);
      await client.silence();
      scene.publish({ CDS: { a: 2, b: 2 } });
      expect((await client.next("CDS")).resources).toEqual({ a: 2 });
      client.change("CDS", [], ["a"]);
      client.ack("CDS");
      await client.silence();
      scene.publish({ CDS: { a: 3, b: 3 } });
      await client.silence();
    },
  },
  {
    paragraph: "Subscribing to Resources",
    rule: "a name that the client has already, in its newest version, is sent again when it asks",
    only: "delta",
    async run(scene) {
      scene.publish({ CDS: ab, EDS: ab });
      const client = await withEndpoints(scene, ["a", "b"]);
      client.change("EDS", ["a"]);
      expect((await client.next("EDS")).resources).toEqual({ a: 1 });
      client.want("CDS", ["*"]);
      await client.next("CDS");
      client.change("CDS", ["*"]);
      expect((await client.next("CDS")).resources).toEqual(ab);
    },
  },
  {
    paragraph: "Resource names",
    rule: "a type that Weir has nothing of: delta names what is not there, the state of the world waits",
    async run({ publish, connect }) {
      publish({ CDS: ab });
      const client = connect();
      const typeUrl = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
      const node = { id: "client" };
      client.raw(
        client.protocol === "delta"
          ? { node, typeUrl, resourceNamesSubscribe: ["x"] }
          : { node, typeUrl, resourceNames: ["x"] },
      );
      await client.settled();
      expect(client.waiting()).toEqual(client.protocol === "delta" ? [typeUrl] : []);
    },
  },
];
