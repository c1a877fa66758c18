import { stringify } from "yaml";

/** How a command answers: for people, or for programs. */
export type Format = "table" | "json" | "yaml";

/** Writes to standard output; a reader that left early (`| head`) ends the process quietly. */
export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** A value as JSON or YAML. */
export function printValue(value: unknown, format: Exclude<Format, "table">): void {
  print(format === "json" ? JSON.stringify(value, null, 2) : stringify(value, { lineWidth: 0 }));
}

/** Columns under their names, as kubectl prints them. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join("   ");
  print([line(head), ...rows.map(line)].join("\n"));
}
