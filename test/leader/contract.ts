import { describe, expect, it, onTestFinished } from "vitest";
import type { Lease } from "../../control/leader/index.ts";

/** A place for leases of one election; each call is another replica's. */
export interface Election {
  lease(name: string, ttlMs: number): Lease;
  close(): Promise<void>;
}

/** What every kind of lease promises; run on each of them. */
export function leaseContract(kind: string, open: () => Promise<Election>): void {
  describe(`the lead as ${kind}`, () => {
    const opened = async () => {
      const election = await open();
      onTestFinished(() => election.close());
      return election;
    };

    it("is held by one at a time, and another is told by whom", async () => {
      const election = await opened();
      const [a, b] = [election.lease("a", 5_000), election.lease("b", 5_000)];
      expect(await a.take()).toHaveProperty("fence");
      expect(await b.take()).toEqual({ holder: "a" });
      expect(await a.renew()).toBe(true);
    });

    it("goes to one of many that ask at once", async () => {
      const election = await opened();
      const names = ["a", "b", "c", "d", "e"];
      const answers = await Promise.all(names.map((name) => election.lease(name, 5_000).take()));
      expect(answers.filter((answer) => "fence" in answer)).toHaveLength(1);
    });

    it("has a higher number each time it changes hands", async () => {
      const election = await opened();
      const fences: bigint[] = [];
      for (const name of ["a", "b", "a"]) {
        const lease = election.lease(name, 5_000);
        const answer = await lease.take();
        if ("fence" in answer) fences.push(answer.fence);
        await lease.release();
      }
      expect(fences).toHaveLength(3);
      expect(fences).toEqual([...fences].sort((x, y) => Number(x - y)));
      expect(new Set(fences).size).toBe(3);
    });

    it("passes to another when its holder falls silent, who then cannot renew it", async () => {
      const election = await opened();
      const [a, b] = [election.lease("a", 1_000), election.lease("b", 1_000)];
      const first = await a.take();
      await expect.poll(() => b.take(), { timeout: 15_000 }).toHaveProperty("fence");
      const second = await election.lease("c", 1_000).take();
      expect(second).toEqual({ holder: "b" });
      expect(await a.renew()).toBe(false);
      expect(first).toHaveProperty("fence");
    });
  });
}
