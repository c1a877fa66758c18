import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RolloutStateSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { draftRoute } from "../../control/route/index.ts";
import {
  FencedError,
  NotStoredError,
  type RolloutEvent,
  type RouteEvent,
  StaleEtagError,
  type Store,
} from "../../control/store/index.ts";
import { messageWith } from "../route/documents.ts";

const author = { principal: "tester", reason: "contract" };
const draft = (canary = 10) => draftRoute(messageWith({ stable: 100 - canary, canary }), undefined);
const rollout = (step: number) => create(RolloutStateSchema, { phase: "running", step });
const weights = (event: RouteEvent) =>
  event.state.route?.spec?.variants.map(({ weight }) => weight);

/** What every store promises; run on each of them. */
export function storeContract(
  name: string,
  open: () => Promise<{ store: Store; remove: () => Promise<void> }>,
): void {
  describe(`the ${name} store`, () => {
    let store: Store;
    let remove: () => Promise<void>;
    beforeEach(async () => {
      ({ store, remove } = await open());
    });
    afterEach(async () => {
      await store.close();
      await remove();
    });

    it("reads what was written", async () => {
      const put = await store.put("inference/chat", draft(), "", "apply", author);
      expect(await store.get("inference/chat")).toEqual(put);
      expect((await store.list()).routes).toEqual([put]);
      expect(await store.get("inference/other")).toBeUndefined();
    });

    it("lets one of two writers with the same etag win and tells the other the current one", async () => {
      const { etag } = await store.put("inference/chat", draft(), "0", "apply", author);
      const results = await Promise.allSettled([
        store.put("inference/chat", draft(20), etag, "shift", author),
        store.put("inference/chat", draft(30), etag, "shift", author),
      ]);
      expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      const lost = results.find((each) => each.status === "rejected");
      expect(lost?.reason).toBeInstanceOf(StaleEtagError);
      expect(lost?.reason.current).toBe((await store.get("inference/chat"))?.etag);
      expect(await store.audit("inference/chat", 10)).toHaveLength(2);
    });

    it("creates only once with etag 0", async () => {
      await store.put("inference/chat", draft(), "0", "apply", author);
      await expect(store.put("inference/chat", draft(), "0", "apply", author)).rejects.toThrow(
        StaleEtagError,
      );
    });

    it("records who changed what and why, newest first, each in the write itself", async () => {
      const first = await store.put("inference/chat", draft(), "", "apply", author);
      await store.put("inference/other", draft(), "", "apply", author);
      await store.delete("inference/chat", first.etag, { principal: "ada", reason: "gone" });
      const entries = await store.audit("inference/chat", 10);
      expect(entries).toMatchObject([
        { action: "delete", principal: "ada", reason: "gone", before: first },
        { action: "apply", principal: "tester", reason: "contract", after: first },
      ]);
      expect(await store.audit("", 2)).toHaveLength(2);
      expect(await store.get("inference/chat")).toBeUndefined();
    });

    it("refuses to delete what is not there or has changed", async () => {
      await expect(store.delete("inference/chat", "", author)).rejects.toThrow(NotStoredError);
      await store.put("inference/chat", draft(), "", "apply", author);
      await expect(store.delete("inference/chat", "99", author)).rejects.toThrow(StaleEtagError);
    });

    it("shows a watch everything after a point, once and in order", async () => {
      const first = await store.put("inference/chat", draft(10), "", "apply", author);
      await store.put("inference/chat", draft(20), "", "shift", author);
      const stop = new AbortController();
      const seen: RouteEvent[] = [];
      const reading = (async () => {
        for await (const event of store.watch(BigInt(first.etag), stop.signal)) {
          seen.push(event);
          if (seen.length === 3) stop.abort();
        }
      })();
      await store.put("inference/chat", draft(30), "", "shift", author);
      await store.delete("inference/chat", "", author);
      await reading;
      expect(seen.map(({ event }) => event)).toEqual(["put", "put", "delete"]);
      expect(seen.map(weights)).toEqual([
        [80, 20],
        [70, 30],
        [70, 30],
      ]);
      expect(seen.map(({ sequence }) => sequence)).toEqual([2n, 3n, 4n]);
    });

    it("stores a rollout's step with the weights that it means, or neither", async () => {
      const { etag } = await store.put("inference/chat", draft(0), "0", "apply", author);
      const started = await store.putRollout(
        "inference/chat",
        { rollout: rollout(0), etag: "0", route: { draft: draft(5), etag } },
        "rollout-start",
        author,
      );
      expect(await store.getRollout("inference/chat")).toEqual(started.rollout);
      expect(await store.get("inference/chat")).toEqual(started.route);
      expect(await store.listRollouts()).toEqual([started.rollout]);
      const write = (rolloutEtag: string, routeEtag: string) =>
        store.putRollout(
          "inference/chat",
          {
            rollout: rollout(1),
            etag: rolloutEtag,
            route: { draft: draft(20), etag: routeEtag },
          },
          "rollout-step",
          author,
        );
      await expect(write(started.rollout.etag, etag)).rejects.toThrow(StaleEtagError);
      await expect(write("0", started.route?.etag ?? "")).rejects.toThrow(StaleEtagError);
      expect(await store.getRollout("inference/chat")).toEqual(started.rollout);
      expect(await store.get("inference/chat")).toEqual(started.route);
      expect(await store.audit("inference/chat", 10)).toMatchObject([
        { action: "rollout-start", after: started.route, rolloutAfter: started.rollout },
        { action: "apply" },
      ]);
    });

    it("lets one of two steps from the same state win", async () => {
      await store.putRollout("a/x", { rollout: rollout(0), etag: "0" }, "rollout-start", author);
      const etag = (await store.getRollout("a/x"))?.etag ?? "";
      const results = await Promise.allSettled(
        [1, 1].map((step) =>
          store.putRollout("a/x", { rollout: rollout(step), etag }, "rollout-step", author),
        ),
      );
      expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    });

    it("leaves a route as it is when only its rollout changes, and keeps the rollout of a deleted one", async () => {
      const route = await store.put("a/x", draft(), "0", "apply", author);
      await store.putRollout("a/x", { rollout: rollout(0), etag: "" }, "rollout-pause", author);
      expect(await store.get("a/x")).toEqual(route);
      await store.delete("a/x", route.etag, author);
      expect((await store.getRollout("a/x"))?.phase).toBe("running");
    });

    it("shows a watch of rollouts each change once and in order, and a watch of routes only theirs", async () => {
      const { etag } = await store.put("a/x", draft(0), "0", "apply", author);
      const stop = new AbortController();
      const seen: RolloutEvent[] = [];
      const routes: RouteEvent[] = [];
      const reading = (async () => {
        for await (const event of store.watchRollouts(0n, stop.signal)) {
          seen.push(event);
          if (seen.length === 3) stop.abort();
        }
      })();
      const readingRoutes = (async () => {
        for await (const event of store.watch(BigInt(etag), stop.signal)) routes.push(event);
      })();
      for (const step of [0, 1, 2])
        await store.putRollout(
          "a/x",
          {
            rollout: rollout(step),
            etag: "",
            ...(step === 1 ? { route: { draft: draft(30), etag: "" } } : {}),
          },
          "rollout-step",
          author,
        );
      await reading;
      await readingRoutes;
      expect(seen.map(({ state }) => state.step)).toEqual([0, 1, 2]);
      expect(seen.map(({ sequence }) => sequence)).toEqual([2n, 3n, 4n]);
      expect(routes.map(weights)).toEqual([[70, 30]]);
    });

    it("takes no write of a leadership that another has followed, whatever its etag", async () => {
      const under = (fence: bigint) => ({ ...author, fence });
      await store.put("a/x", draft(10), "", "shift", under(7n));
      await store.putRollout("b/y", { rollout: rollout(0), etag: "" }, "start", under(9n));
      await expect(store.put("a/x", draft(20), "", "shift", under(8n))).rejects.toThrow(
        FencedError,
      );
      await expect(store.delete("a/x", "", under(7n))).rejects.toThrow(FencedError);
      await expect(
        store.putRollout("b/y", { rollout: rollout(1), etag: "" }, "step", under(7n)),
      ).rejects.toThrow("leadership 7 has ended: 9 is newer");
      await store.put("a/x", draft(30), "", "shift", under(9n));
      await store.put("a/x", draft(40), "", "shift", author);
      expect((await store.list()).sequence).toBe(4n);
    });

    it("counts sequence numbers up over all routes", async () => {
      const etags = [];
      for (const route of ["a/x", "b/y", "a/x"])
        etags.push((await store.put(route, draft(), "", "apply", author)).etag);
      expect(etags).toEqual(["1", "2", "3"]);
      expect((await store.list()).sequence).toBe(3n);
    });
  });
}
