import { toJson } from "@bufbuild/protobuf";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import {
  createSynthetic,
  goodProfile,
  type Profile,
  seededRandom,
} from "../../control/rollout/simulate/synthetic.ts";

/** Posts made-up reports to a control service, as the filters of one proxy do. */
export interface Reporter {
  /** Percent of the requests that go to the canary. */
  weight: number;
  silent: boolean;
  stop(): void;
}

export function startReporter(
  base: () => string,
  node: string,
  perSecond: number,
  canary: Partial<Profile> = {},
): Reporter {
  const everyMs = 200;
  const synthetic = createSynthetic({
    node,
    route: "inference/chat",
    stable: "stable",
    canary: "canary",
    stableProfile: goodProfile,
    canaryProfile: { ...goodProfile, ...canary },
    random: seededRandom(5),
    epoch: (BigInt(Date.now()) * 1_000_000n).toString(16).padStart(16, "0"),
  });
  const reporter: Reporter = { weight: 0, silent: false, stop: () => clearInterval(timer) };
  const timer = setInterval(() => {
    if (reporter.silent) return;
    synthetic.answer((perSecond * everyMs) / 1000, reporter.weight);
    fetch(`${base()}/weir.v1.ReportService/Report`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(toJson(ReportRequestSchema, synthetic.report(performance.now(), ""))),
    }).catch(() => {
      // The service is away: what was counted comes with the next report.
    });
  }, everyMs);
  return reporter;
}
