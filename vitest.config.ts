import { execFileSync } from "node:child_process";
import type { ProvidedContext } from "vitest";
import { defineConfig } from "vitest/config";

/** What test/needs.json says of this machine. */
interface Needs extends Pick<ProvidedContext, "missing" | "lacks"> {
  /** The test files that `npm run test:fast` leaves out. */
  slow: string[];
}
const asked = execFileSync(process.execPath, ["tools/test-needs.js", "--json"]).toString();
const { slow, missing, lacks } = JSON.parse(asked) as Needs;
const leftOut = process.env.WEIR_FAST ? slow : [];

/** What measures time, or fills the machine, would measure its neighbours as well. */
const alone = [
  "test/faults/foreign.test.ts",
  "test/faults/http2.test.ts",
  "test/faults/resets.test.ts",
  "test/web/huge-fleet.test.ts",
  "test/kube/many-routes.test.ts",
  "test/load/**/*.test.ts",
  "test/inference/canaries.test.ts",
  "test/inference/load.test.ts",
  "test/inference/overload.test.ts",
  "test/e2e/drill.test.ts",
  "test/e2e/fleet-limit.test.ts",
  "test/e2e/overload.test.ts",
  "test/e2e/rollout.test.ts",
  "test/neighbours/neighbours.test.ts",
  "test/rollout/replicas.test.ts",
];
/** Servers of some gigabytes, which are installed first: for the long run alone. */
const large = "test/inference/large/**/*.test.ts";
// Real proxies start inside the suites; a slow machine is not a failure.
const patience = {
  runner: "test/needs-runner.ts",
  provide: { missing, lacks },
  // Half of the time of short tests is the import of what they share: a worker of the fast run keeps it.
  isolate: !process.env.WEIR_FAST,
  testTimeout: 60_000,
  hookTimeout: 180_000,
  expect: { poll: { timeout: 20_000 } },
};

export default defineConfig({
  test: {
    globalSetup: "test/fresh-build.ts",
    projects: [
      {
        test: {
          ...patience,
          name: "together",
          include: ["test/**/*.test.ts"],
          exclude: [...alone, large, ...leftOut],
          // Most suites wait for what they started for half of their time.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...patience,
          name: "alone",
          include: process.env.WEIR_LONG ? [...alone, large] : alone,
          exclude: leftOut,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
