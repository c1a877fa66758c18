import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { AnalysisSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { bucketOf, type Observation } from "../../control/report/index.ts";
import { judge } from "../../control/rollout/judge/judge.ts";
import { seededRandom } from "../../control/rollout/simulate/synthetic.ts";

const rollouts = 500;
const perLook = 40;
const looks = 20;

/** One variant's answers as they come in. */
interface Side {
  answer(): void;
  seen(): Observation;
}

type Make = (random: () => number) => Side;

/** Answers of which a share is of one kind, the others of another. */
function counting(name: string, bad: string, good: string, share: number): Make {
  return (random) => {
    let hits = 0;
    let trials = 0;
    return {
      answer() {
        trials++;
        if (random() < share) hits++;
      },
      seen: () => ({
        atMs: 0,
        distributions: new Map(),
        counters: new Map(
          [
            { label: bad, total: hits },
            { label: good, total: trials - hits },
          ].map((each) => [each.label, { name, variant: "", tier: "", ...each }]),
        ),
      }),
    };
  };
}

/** First tokens whose logarithms are spread around a median by 0.5. */
function timed(medianMs: number): Make {
  return (random) => {
    const buckets = new Map<number, number>();
    return {
      answer() {
        const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
        const bucket = bucketOf(medianMs * Math.exp(0.5 * normal));
        buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
      },
      seen: () => ({
        atMs: 0,
        counters: new Map(),
        distributions: new Map([
          [
            "t",
            {
              name: "time_to_first_token_ms",
              variant: "",
              tier: "",
              distribution: { zeros: 0, buckets: new Map(buckets) },
            },
          ],
        ]),
      }),
    };
  };
}

/** Whether a check passes at any of twenty looks at a step of 800 answers of each variant. */
function passesAStep(random: () => number, check: object, stable: Make, canary: Make): boolean {
  const analysis = create(AnalysisSchema, { checks: [check] });
  const [one, other] = [stable(random), canary(random)];
  for (let look = 0; look < looks; look++) {
    for (let i = 0; i < perLook; i++) {
      one.answer();
      other.answer();
    }
    const verdicts = judge(analysis, { stable: one.seen(), canary: other.seen() }, []);
    const of = verdicts.filter(({ check: name }) => name.startsWith(Object.values(check)[0]));
    if (of.length > 0 && of.every(({ outcome }) => outcome === "pass")) return true;
    if (of.some(({ outcome }) => outcome === "fail")) return false;
  }
  return false;
}

const responses = (bad: string, share: number) => counting("responses", bad, "2xx", share);
const cut = (share: number) => counting("streams", "cut", "done", share);
const ends = (share: number) => counting("finishes", "length", "stop", share);

/** A check, the stable variant, a canary at its very limit, and one that is twice as far off. */
const cases: [string, object, Make, Make, Make][] = [
  [
    "success-rate",
    { metric: "success-rate" },
    responses("5xx", 0.003),
    responses("5xx", 0.023),
    responses("5xx", 0.043),
  ],
  [
    "refusals",
    { metric: "refusals" },
    responses("4xx", 0.05),
    responses("4xx", 0.07),
    responses("4xx", 0.09),
  ],
  [
    "refusals of 501",
    { metric: "refusals" },
    responses("501", 0),
    responses("501", 0.02),
    responses("501", 0.04),
  ],
  ["cut-streams", { metric: "cut-streams" }, cut(0.002), cut(0.022), cut(0.042)],
  ["finish-reasons", { metric: "finish-reasons" }, ends(0.12), ends(0.22), ends(0.32)],
  [
    "first-token p50",
    { metric: "first-token", percentile: 50 },
    timed(200),
    timed(255),
    timed(310),
  ],
  [
    "first-token p95",
    { metric: "first-token", percentile: 95 },
    timed(200),
    timed(302),
    timed(402),
  ],
];

describe.each(cases)("%s", (_, check, stable, atLimit, beyond) => {
  it(`passes for fewer than one of 20 canaries at the limit, and twice for fewer than 1 % of ${rollouts}`, () => {
    const random = seededRandom(1);
    let once = 0;
    let twice = 0;
    for (let i = 0; i < rollouts; i++) {
      if (!passesAStep(random, check, stable, atLimit)) continue;
      once++;
      if (passesAStep(random, check, stable, atLimit)) twice++;
    }
    console.log(`at the limit: ${once} and ${twice} of ${rollouts}`);
    expect(once).toBeLessThan(rollouts / 20);
    expect(twice).toBeLessThan(rollouts / 100);
  });

  it(`passes for fewer than 1 % of ${rollouts} canaries twice as far off`, () => {
    const random = seededRandom(2);
    let passed = 0;
    for (let i = 0; i < rollouts; i++) if (passesAStep(random, check, stable, beyond)) passed++;
    expect(passed).toBeLessThan(rollouts / 100);
  });
});
