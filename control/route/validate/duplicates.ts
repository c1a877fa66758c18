import type { Report } from "../problem.ts";

/** Reports every name that occurs a second time. */
export function checkDuplicates(
  names: readonly string[],
  path: string,
  { code, noun }: { code: string; noun: string },
  report: Report,
): void {
  names.forEach((name, index) => {
    if (names.indexOf(name) < index)
      report(code, `${path}[${index}]`, `${noun} "${name}" is listed twice`);
  });
}
