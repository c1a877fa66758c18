import { createWriteStream } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { ReportRequestSchema } from "../gen/weir/v1/report_pb.ts";
import type { Ledger } from "./ledger.ts";

/** A ledger that also adds each report to a file, as a JSON line with its time; without a file, the ledger itself. */
export function recorded(ledger: Ledger, file: string | undefined): Ledger {
  if (file === undefined) return ledger;
  const out = createWriteStream(file, { flags: "a", mode: 0o600 });
  // A full disk ends the recording, not the service.
  out.on("error", () => {});
  return {
    ...ledger,
    add(report) {
      ledger.add(report);
      out.write(
        `${JSON.stringify({ at: Date.now(), report: toJson(ReportRequestSchema, report) })}\n`,
      );
    },
  };
}
