export {
  type Authenticate,
  createAuthenticate,
  type Identity,
  trustEveryone,
} from "./authenticate.ts";
export { credentialsOf } from "./credentials.ts";
export { sha256Hex } from "./digest.ts";
export { createGate, type Gate, type GateOptions, isLoopback, type TlsFiles } from "./gate.ts";
export { createHostCheck, type HostRules, type Misdirected } from "./hosts.ts";
export { type Policy, PolicyError, parsePolicy, readPolicy } from "./policy.ts";
export { anonymous, may, type Principal, type Role, roles, scopeOf } from "./principal.ts";
export { createReportTokens, type ReportTokens } from "./report-token.ts";
