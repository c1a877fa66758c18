/** What must be ended when the control service ends, in the order in which it was begun. */
export interface Endings {
  /** Adds what ends before everything that was added earlier. */
  add(end: () => unknown): void;
  /**
   * Ends everything once, the newest first, each after the one before it has ended.
   * @throws the first error, after everything has been tried
   */
  run(): Promise<void>;
}

/** Makes an empty list of endings. */
export function createEndings(): Endings {
  const ends: (() => unknown)[] = [];
  let running: Promise<void> | undefined;

  async function endAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const end of ends.reverse()) {
      try {
        await end();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  return {
    add: (end) => void ends.push(end),
    run() {
      running ??= endAll();
      return running;
    },
  };
}
