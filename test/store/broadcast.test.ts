import { describe, expect, it } from "vitest";
import { type BroadcastOptions, createBroadcast } from "../../control/store/broadcast.ts";
import { WatchBehindError } from "../../control/store/index.ts";

interface Event {
  name: string;
  value: number;
}

const broadcast = (limits: Partial<BroadcastOptions<Event>> = {}) =>
  createBroadcast<Event>({ nameOf: ({ name }) => name, ...limits });
const event = (name: string, value: number): Event => ({ name, value });

/** Reads until there is nothing left to read for now. */
async function readAll(events: AsyncIterable<Event>, stop: AbortController): Promise<Event[]> {
  const read: Event[] = [];
  setImmediate(() => stop.abort());
  for await (const each of events) read.push(each);
  return read;
}

describe("a watch that is not read", () => {
  it("gets everything in order as long as that is little", async () => {
    const { send, watch } = broadcast({ maxInOrder: 10 });
    const stop = new AbortController();
    const events = watch([event("backlog", 0)], stop.signal);
    const sent = Array.from({ length: 10 }, (_, i) => event("a", i));
    for (const each of sent) send(each);
    expect(await readAll(events, stop)).toEqual([event("backlog", 0), ...sent]);
  });

  it.each([1, 3, 40])(
    "holds no more than the newest of %d names, and a bounded rest",
    async (names) => {
      const { send, watch } = broadcast({ maxInOrder: 16 });
      const stop = new AbortController();
      const events = watch([], stop.signal);
      for (let i = 0; i < 100_000; i++) send(event(`route-${i % names}`, i));
      const read = await readAll(events, stop);
      expect(read.length).toBeLessThanOrEqual(Math.max(16, 2 * names));
      // What is left is in the order in which it was sent, and the newest of each name is last.
      expect(read.map(({ value }) => value)).toEqual(
        read.map(({ value }) => value).sort((a, b) => a - b),
      );
      const newest = new Map(read.map(({ name, value }) => [name, value]));
      expect([...newest.values()].sort((a, b) => a - b)).toEqual(
        Array.from({ length: names }, (_, i) => 100_000 - names + i),
      );
    },
  );

  it("ends with words that say what to do when too many names changed, and others go on", async () => {
    const { send, watch } = broadcast({ maxInOrder: 4, maxNames: 8 });
    const stop = new AbortController();
    const slow = watch([], stop.signal)[Symbol.asyncIterator]();
    const read: Event[] = [];
    const quick = (async () => {
      for await (const each of watch([], stop.signal)) read.push(each);
    })();
    for (let i = 0; i < 100; i++) {
      send(event(`route-${i}`, i));
      await new Promise(setImmediate);
    }
    await expect(slow.next()).rejects.toThrow(/more than 8 routes changed.*start a new watch/);
    await expect(slow.next()).resolves.toMatchObject({ done: true });
    stop.abort();
    await quick;
    expect(read).toHaveLength(100);
    expect(new WatchBehindError(8).name).toBe("WatchBehindError");
  });

  it("holds nothing once its signal aborts, also where nobody ever read it", async () => {
    let looked = 0;
    const { send, watch } = broadcast({
      maxInOrder: 1,
      nameOf: ({ name }) => {
        looked++;
        return name;
      },
    });
    const stop = new AbortController();
    watch([], stop.signal);
    send(event("a", 1));
    send(event("a", 2));
    expect(looked).toBe(2);
    stop.abort();
    watch([], stop.signal);
    for (let i = 0; i < 100; i++) send(event("a", i));
    expect(looked).toBe(2);
  });
});
