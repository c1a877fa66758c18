import { createWriteStream, openSync } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { ReportRequestSchema } from "../gen/weir/v1/report_pb.ts";
import { errorText } from "../text/error-text.ts";
import type { Ledger } from "./ledger.ts";

/**
 * A ledger that also adds each report to a file, as a JSON line with its time; without a file, the
 * ledger itself.
 * @param failed is called once where the file cannot be written any more
 * @throws Error where the file cannot be opened
 */
export function recorded(
  ledger: Ledger,
  file: string | undefined,
  failed: (line: string) => void = () => {},
): Ledger {
  if (file === undefined) return ledger;
  const out = createWriteStream(file, { fd: openToAppend(file) });
  // A full disk ends the recording, not the service.
  out.once("error", ({ message }) => failed(`recording of reports stopped: ${message}`));
  out.on("error", () => {});
  return {
    ...ledger,
    add(report) {
      const wrong = ledger.add(report);
      out.write(
        `${JSON.stringify({ at: Date.now(), report: toJson(ReportRequestSchema, report) })}\n`,
      );
      return wrong;
    },
  };
}

function openToAppend(file: string): number {
  try {
    return openSync(file, "a", 0o600);
  } catch (error) {
    const why = errorText(error);
    throw new Error(`cannot record reports in ${file} (--record): ${why}`);
  }
}
