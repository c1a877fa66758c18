/** More differences than this are another word, not a typo. */
const maxEdits = 2;

/** The known words nearest to a typo; empty if none is near. */
export function similarTo(word: string, known: readonly string[]): string[] {
  const near = known
    .map((each) => ({ each, edits: editsBetween(word, each) }))
    .filter(({ each, edits }) => edits <= Math.min(maxEdits, (each.length - 1) / 2));
  const fewestEdits = Math.min(...near.map(({ edits }) => edits));
  return near.filter(({ edits }) => edits === fewestEdits).map(({ each }) => each);
}

/** Letters to add, leave out, change or swap with the next (optimal string alignment). */
function editsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > maxEdits) return maxEdits + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let fewestEdits = Math.min(changed, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        fewestEdits = Math.min(fewestEdits, (before[j - 2] ?? fewestEdits) + 1);
      row.push(fewestEdits);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
