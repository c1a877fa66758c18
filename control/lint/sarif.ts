import { lints } from "./catalog.ts";
import type { Severity } from "./finding.ts";

/** A finding or problem with its place in a file. */
export interface Located {
  id: string;
  severity: Severity;
  message: string;
  path: string;
  file: string;
  /** From 1; absent when the place is not in the file. */
  line?: number | undefined;
  reason?: string | undefined;
}

const levels: Record<Severity, string> = { error: "error", warning: "warning", info: "note" };

/** Findings as a SARIF 2.1.0 log, which code hosts show beside the lines they are about. */
export function sarif(located: readonly Located[], version: string): object {
  const reasons = new Map<string, { severity: Severity; reason: string }>();
  for (const { id, reason, severity } of lints) reasons.set(id, { severity, reason });
  for (const { id, reason = "the document is not valid", severity } of located)
    if (!reasons.has(id)) reasons.set(id, { severity, reason });
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "weir",
            version,
            rules: [...reasons].map(([id, { reason, severity }]) => ({
              id,
              shortDescription: { text: id.replaceAll("-", " ") },
              fullDescription: { text: reason },
              defaultConfiguration: { level: levels[severity] },
            })),
          },
        },
        results: located.map(({ file, id, line, message, path, severity }) => ({
          ruleId: id,
          level: levels[severity],
          message: { text: path === "" ? message : `${path}: ${message}` },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: file },
                region: { startLine: line ?? 1 },
              },
              logicalLocations: [{ fullyQualifiedName: path }],
            },
          ],
        })),
      },
    ],
  };
}
