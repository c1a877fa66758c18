import { stringify } from "yaml";
import { plain } from "../telemetry/plain.ts";

/** How a command answers: for people, or for programs. */
export type Format = "table" | "json" | "yaml";

/** Writes to standard output; a reader that left early (`| head`) ends the process quietly. */
export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** A value as JSON or YAML. */
export function printValue(value: unknown, format: Exclude<Format, "table">): void {
  print(valueText(value, format));
}

/** As {@link printValue} prints it. */
export function valueText(value: unknown, format: Exclude<Format, "table">): string {
  return format === "json"
    ? JSON.stringify(value, null, 2)
    : stringify(value, { lineWidth: 0, compat: "yaml-1.1" });
}

/** Columns under their names, as kubectl prints them. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  print(table(head, rows));
}

/** As {@link printTable} prints it; a cell stays on its line, whatever is in it. */
export function table(head: readonly string[], given: readonly (readonly string[])[]): string {
  const rows = given.map((row) => row.map(plain));
  const widths = head.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join("   ");
  return [line(head), ...rows.map(line)].join("\n");
}
