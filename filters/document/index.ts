export {
  CANARY,
  COMPRESSION,
  Document,
  policyOf,
  RATE_LIMIT,
  Route,
  SHADOW,
  TOKEN_LIMIT,
} from "./document";
export { routeOfHost } from "./hosts";
export { registerMember } from "./parse";
export {
  configureRoot,
  currentDocument,
  deleteRoot,
  documentOfRoot,
  eachDocument,
  isRoot,
} from "./roots";
