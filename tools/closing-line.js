// Prints "N passed, N failed" for a vitest JSON result and fails when a test
// failed, was skipped, or when nothing ran: a suite left out is not a green one.
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

const result = readResult(process.argv[2]);
const brokenFiles = result.testResults.filter(
  (/** @type {{status: string, assertionResults: unknown[]}} */ suite) =>
    suite.status === "failed" && suite.assertionResults.length === 0,
).length;
const skipped = result.numPendingTests + (result.numTodoTests ?? 0);
if (skipped > 0) console.error(`error: ${skipped} tests were skipped; every suite must run here`);
const failed =
  result.numFailedTests + brokenFiles + skipped + (result.numPassedTests === 0 ? 1 : 0);
console.log(`${result.numPassedTests} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
