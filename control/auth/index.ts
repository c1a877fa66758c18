export { credentialsOf } from "./credentials.ts";
export { sha256Hex } from "./digest.ts";
export { createGate, isLoopback, type TlsFiles } from "./gate.ts";
export { createHostCheck, type HostRules, type Misdirected } from "./hosts.ts";
export { PolicyError, parsePolicy } from "./policy.ts";
export {
  anonymous,
  isPod,
  may,
  mayRegister,
  type Principal,
  type Role,
  roles,
  scopeOf,
} from "./principal.ts";
export { createReportTokens } from "./report-token.ts";
