/** What one client asked of a register, and what it was told. */
export interface Operation {
  kind: "write" | "read";
  /** When it was asked, and answered; a write without an answer may have happened at any time since, or not at all. */
  fromMs: number;
  toMs: number;
  /** What it wrote, or read. */
  value: string;
  /** Of a write: the value that had to be there for it to be made; absent: any. */
  over?: string;
}

/** One choice of the search: what may come next where it was made, and which of them is tried. */
interface Choice {
  /** The value before it. */
  value: string;
  open: readonly number[];
  at: number;
}

/**
 * Whether one order of all operations explains what every client was told: each at
 * one moment between question and answer, each read of the newest write, each
 * conditional write over what it names (Wing and Gong 1993, with Lowe's memory of
 * what has been tried). Writes without an answer (toMs: Infinity) may be left out.
 */
export function isLinearizable(history: readonly Operation[], initial: string): boolean {
  const operations = [...history].sort((a, b) => a.fromMs - b.fromMs);
  const isAnswered = (i: number) => operations[i]?.toMs !== Number.POSITIVE_INFINITY;
  const done = new Set<number>();
  const tried = new Set<string>();
  let needed = operations.filter((_, i) => isAnswered(i)).length;
  let first = 0;

  /** Operations that may come next: asked before any open one is answered. */
  function candidates(): number[] {
    while (done.has(first)) first++;
    const found: number[] = [];
    let firstAnswer = Number.POSITIVE_INFINITY;
    for (let i = first; i < operations.length; i++) {
      if (done.has(i)) continue;
      const { fromMs, toMs } = operations[i] as Operation;
      if (fromMs > firstAnswer) break;
      found.push(i);
      firstAnswer = Math.min(firstAnswer, toMs);
    }
    return found;
  }

  function next(i: number, before: string): string | undefined {
    const { kind, value, over } = operations[i] as Operation;
    if (kind === "read") return value === before ? before : undefined;
    return over === undefined || over === before ? value : undefined;
  }

  const way: Choice[] = [{ value: initial, open: candidates(), at: -1 }];
  while (needed > 0) {
    const choice = way.at(-1);
    if (choice === undefined) return false;
    const tries = choice.open[choice.at];
    if (tries !== undefined && done.delete(tries)) {
      if (isAnswered(tries)) needed++;
      first = Math.min(first, tries);
    }
    const i = choice.open[++choice.at];
    if (i === undefined) {
      way.pop();
      continue;
    }
    const value = next(i, choice.value);
    if (value === undefined) continue;
    done.add(i);
    if (isAnswered(i)) needed--;
    const open = candidates();
    // The open ones tell which are done.
    const state = `${value} ${open.join()}`;
    if (needed > 0 && tried.has(state)) continue;
    tried.add(state);
    way.push({ value, open, at: -1 });
  }
  return true;
}
