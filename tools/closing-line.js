// Prints "N passed, N failed" for a vitest JSON result and fails when a test
// failed, was skipped, or when nothing ran: a suite left out is not a green one.
// Checks that failed beside the suites are named, and count as failures too.
//
//   node tools/closing-line.js RESULTS.json EXIT-CODE-OF-THE-SUITES [FAILED CHECK...]
import { readFileSync } from "node:fs";

/** @param {string | undefined} file */
function readResult(file) {
  try {
    return JSON.parse(readFileSync(String(file), "utf8"));
  } catch (error) {
    console.error(`error: no test result in ${file}: ${error}`);
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };
  }
}

const [file, suitesExit, ...failedChecks] = process.argv.slice(2);
const result = readResult(file);
const brokenFiles = result.testResults.filter(
  (/** @type {{status: string, assertionResults: unknown[]}} */ suite) =>
    suite.status === "failed" && suite.assertionResults.length === 0,
).length;
const skipped = result.numPendingTests + (result.numTodoTests ?? 0);
if (skipped > 0) console.error(`error: ${skipped} tests were skipped; every suite must run here`);
for (const check of failedChecks) console.error(`error: ${check} failed`);
const failedTests = result.numFailedTests + brokenFiles + skipped;
// The suites may fail without a failed test: an error outside of all of them, or nothing run.
const failedOtherwise =
  failedTests === 0 && (suitesExit !== "0" || result.numPassedTests === 0) ? 1 : 0;
if (failedOtherwise) console.error(`error: the suites ended with ${suitesExit} and no failed test`);
const failed = failedTests + failedOtherwise + failedChecks.length;
console.log(`${result.numPassedTests} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
