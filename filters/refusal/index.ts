export { endProblem, keepHeaders, keptBytes, keptHeaders } from "./problem";
export { requestSeed, retryAfterS } from "./retry-after";
