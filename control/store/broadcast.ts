/** Hands each event to every open watch, in order; a watch that is not read holds its own queue. */
export interface Broadcast<Event> {
  send(event: Event): void;
  /** First the backlog, then what is sent from now on, until the signal aborts or close is called. */
  watch(backlog: readonly Event[], signal: AbortSignal): AsyncIterable<Event>;
  close(): void;
}

interface Watch<Event> {
  queue: Event[];
  wake: () => void;
}

export function createBroadcast<Event>(): Broadcast<Event> {
  const watches = new Set<Watch<Event>>();
  let closed = false;

  async function* read(watch: Watch<Event>, signal: AbortSignal): AsyncIterable<Event> {
    const wake = () => watch.wake();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted && !closed) {
        const event = watch.queue.shift();
        if (event) yield event;
        else
          await new Promise<void>((resolve) => {
            watch.wake = resolve;
          });
      }
    } finally {
      signal.removeEventListener("abort", wake);
      watches.delete(watch);
    }
  }

  return {
    send(event) {
      for (const watch of watches) {
        watch.queue.push(event);
        watch.wake();
      }
    },
    watch(backlog, signal) {
      // Registered before the first read, so that nothing sent in between is lost.
      const watch: Watch<Event> = { queue: [...backlog], wake: () => {} };
      watches.add(watch);
      return read(watch, signal);
    },
    close() {
      closed = true;
      for (const watch of watches) watch.wake();
    },
  };
}
