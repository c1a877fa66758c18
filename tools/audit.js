// Asks the registry for known weaknesses of what the package ships. A registry that
// does not know the question, or none within reach, is no failure: the lock file, the
// licences and the engines are checked by a test without asking anyone.
import { spawnSync } from "node:child_process";

const { stdout } = spawnSync(
  "npm",
  [
    "audit",
    "--omit=dev",
    "--package-lock-only",
    "--json",
    "--fetch-retries=0",
    "--fetch-timeout=20000",
  ],
  { encoding: "utf8", maxBuffer: 64 << 20 },
);
const answer = read(stdout);
const counts = answer?.metadata?.vulnerabilities;
if (counts === undefined) {
  const why = answer?.message ?? answer?.error?.summary ?? "no answer";
  console.log(
    `dependency audit: the registry did not answer (${why}); only the lock file was checked`,
  );
} else {
  const bad = Object.entries(answer.vulnerabilities).filter(([, { severity }]) =>
    ["high", "critical"].includes(severity),
  );
  for (const [name, { severity, range }] of bad) console.error(`${name} ${range}: ${severity}`);
  console.log(
    `dependency audit: ${counts.total} known weaknesses, ${bad.length} of them high or critical`,
  );
  process.exitCode = bad.length > 0 ? 1 : 0;
}

/** @param {string} text */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
