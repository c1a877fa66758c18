/** What was done, for whoever reads why a run failed: every line with the second it was written in. */
export interface Journal {
  say(line: string): void;
  /** The last lines, oldest first. */
  tail(count: number): string[];
}

/** Further lines than this are of no help any more. */
const maxLines = 2_000;

export function createJournal(echo: (line: string) => void = () => {}): Journal {
  const startedMs = performance.now();
  const lines: string[] = [];
  return {
    say(line) {
      const told = `${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}`;
      lines.push(told);
      if (lines.length > maxLines) lines.shift();
      echo(told);
    },
    tail: (count) => lines.slice(-count),
  };
}
