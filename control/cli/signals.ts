/** Resolves on the first SIGINT or SIGTERM; a second one ends the process at once. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    const first = () => {
      for (const signal of ["SIGINT", "SIGTERM"] as const)
        process.on(signal, () => process.exit(130));
      resolve();
    };
    process.once("SIGINT", first);
    process.once("SIGTERM", first);
  });
}

/** Aborts on the first SIGINT or SIGTERM, so that the command can still print its results. */
export function onInterrupt(): AbortSignal {
  const controller = new AbortController();
  void untilStopped().then(() => controller.abort());
  return controller.signal;
}
