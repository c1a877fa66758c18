import { AsyncLocalStorage } from "node:async_hooks";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createRate } from "../../api/index.ts";

/**
 * What one caller's calls may take of the one thread that answers all of them, ms a second, for
 * ever; and at once. A document of the largest size takes some hundred ms to read and compare.
 */
const partMs = 400;
const burstMs = 10_000;
/** Calls of one caller that wait for their turn, each with all it has sent in memory. */
const maxWaiting = 32;

/** Measures one call, from the moment at which all of it is here. */
interface Meter {
  /** The handler has the message: what passed since the call was here went into reading it. */
  read(): void;
  /** There is an answer, or none will come. */
  end(): void;
}

/** The call at hand; it has no meter before its turn. */
const current = new AsyncLocalStorage<{ meter?: Meter }>();

/** Tells a call's meter when its message has been read; the outermost of the interceptors. */
export const costInterceptor: Interceptor = (next) => (request) => {
  current.getStore()?.meter?.read();
  return next(request);
};

/** Calls of one caller take their turns, and who has taken more than its part is refused. */
export interface Costs {
  /**
   * Runs a call in the name of a caller, and charges what it takes of the thread.
   * @param work is given what the body of the call must wait for after its last byte: it
   *   throws a ConnectError for who owes too much
   */
  measured<T>(caller: string, work: (turn: () => Promise<void>) => Promise<T>): Promise<T>;
}

export function createCosts(monotonicMs: () => number = () => performance.now()): Costs {
  const rate = createRate(partMs, monotonicMs, burstMs);
  /** The end of the newest turn of each caller that has one, and how many calls have not had theirs. */
  const turns = new Map<string, { last: Promise<void>; waiting: number }>();

  function createMeter(caller: string, ended: () => void): Meter {
    let running = false;
    let isRead = false;
    let sinceMs = monotonicMs();
    const charge = () => {
      const nowMs = monotonicMs();
      rate.charge(caller, nowMs - sinceMs);
      sinceMs = nowMs;
    };
    /** Until nothing of the call is left to do at the moment. */
    const run = () => {
      if (running) return;
      running = true;
      // After all that follows from here without waiting for anything outside of the process.
      queueMicrotask(() =>
        process.nextTick(() => {
          running = false;
          charge();
          if (isRead) ended();
        }),
      );
    };
    const read = () => {
      if (isRead) return;
      isRead = true;
      // What is compressed is unpacked on another thread first, and the wait for it counts.
      if (!running) charge();
      run();
    };
    run();
    return {
      read,
      end() {
        read();
        if (!running) sinceMs = monotonicMs();
        run();
      },
    };
  }

  return {
    async measured(caller, work) {
      const call: { meter?: Meter } = {};
      let isOver = false;
      const turn = async () => {
        const queue = turns.get(caller) ?? { last: Promise.resolve(), waiting: 0 };
        if (queue.waiting > maxWaiting) throw tooDear(1000);
        let ended = () => {};
        const mine = new Promise<void>((resolve) => {
          ended = resolve;
        });
        const before = queue.last;
        turns.set(caller, Object.assign(queue, { last: mine, waiting: queue.waiting + 1 }));
        mine.then(() => {
          queue.waiting--;
          if (queue.last === mine) turns.delete(caller);
        });
        await before;
        const waitMs = rate.waitMs(caller);
        // A client may be gone while its call waits.
        if (isOver || waitMs > 0) ended();
        if (isOver) return;
        if (waitMs > 0) throw tooDear(waitMs);
        call.meter = createMeter(caller, ended);
      };
      try {
        return await current.run(call, () => work(turn));
      } finally {
        isOver = true;
        call.meter?.end();
      }
    },
  };
}

function tooDear(waitMs: number): ConnectError {
  const comeBackS = Math.ceil(waitMs / 1000);
  return new ConnectError(
    `these calls used more than ${partMs} ms of computing time per second: retry in ${comeBackS} s`,
    Code.ResourceExhausted,
    { "retry-after": `${comeBackS}`, "grpc-retry-pushback-ms": `${1000 * comeBackS}` },
  );
}
