import { WatchBehindError } from "./store.ts";

/** Hands each event to every open watch, in order; a watch that is not read holds its own queue. */
export interface Broadcast<Event> {
  send(event: Event): void;
  /**
   * First the backlog, then what is sent from now on, until the signal aborts or close is called.
   * A slow reader of a watch gets the newest event of each name, not the older ones.
   * @throws WatchBehindError when too many names changed while it was not read
   */
  watch(backlog: readonly Event[], signal: AbortSignal): AsyncIterable<Event>;
  close(): void;
}

export interface BroadcastOptions<Event> {
  /** What an event is about: a newer one of the same name stands for those before it. */
  nameOf(event: Event): string;
  /** A watch with a longer queue than this keeps the newest event of each name. */
  maxInOrder?: number;
  /** A watch whose queue holds more names than this ends. */
  maxNames?: number;
}

const defaultMaxInOrder = 1_024;
/** Several times the routes that one service is made for. */
const defaultMaxNames = 10_000;

interface Watch<Event> {
  queue: Event[];
  /** Length at which the queue is looked through. */
  maxLength: number;
  error?: WatchBehindError;
  wake: () => void;
  end: () => void;
}

export function createBroadcast<Event>({
  nameOf,
  maxInOrder = defaultMaxInOrder,
  maxNames = defaultMaxNames,
}: BroadcastOptions<Event>): Broadcast<Event> {
  const watches = new Set<Watch<Event>>();
  let closed = false;

  async function* read(watch: Watch<Event>, signal: AbortSignal): AsyncIterable<Event> {
    try {
      while (!signal.aborted && !closed) {
        const event = watch.queue.shift();
        if (event) yield event;
        else if (watch.error) throw watch.error;
        else
          await new Promise<void>((resolve) => {
            watch.wake = resolve;
          });
      }
    } finally {
      watches.delete(watch);
      signal.removeEventListener("abort", watch.end);
    }
  }

  function shorten(watch: Watch<Event>): void {
    const newest = new Map<string, Event>();
    for (const event of watch.queue) {
      const name = nameOf(event);
      newest.delete(name);
      newest.set(name, event);
    }
    watch.queue = [...newest.values()];
    // Twice what is left, so that each event is looked at a few times and not at every other.
    watch.maxLength = Math.max(maxInOrder, 2 * newest.size);
    if (newest.size <= maxNames) return;
    watches.delete(watch);
    watch.queue = [];
    watch.error = new WatchBehindError(maxNames);
  }

  return {
    send(event) {
      for (const watch of watches) {
        watch.queue.push(event);
        if (watch.queue.length > watch.maxLength) shorten(watch);
        watch.wake();
      }
    },
    watch(backlog, signal) {
      // Registered before the first read, so that nothing sent in between is lost.
      const watch: Watch<Event> = {
        queue: [...backlog],
        maxLength: backlog.length + maxInOrder,
        wake: () => {},
        // A watch that nobody comes to read is let go as well.
        end() {
          watches.delete(watch);
          watch.queue = [];
          watch.wake();
        },
      };
      if (!signal.aborted) watches.add(watch);
      signal.addEventListener("abort", watch.end, { once: true });
      return read(watch, signal);
    },
    close() {
      closed = true;
      for (const watch of watches) watch.wake();
    },
  };
}
