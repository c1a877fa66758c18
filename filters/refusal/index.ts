export { endProblem, keepHeaders } from "./problem";
export { requestSeed, retryAfterS } from "./retry-after";
