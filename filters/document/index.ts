export {
  CANARY,
  COMPRESSION,
  Document,
  Host,
  policyOf,
  RATE_LIMIT,
  Route,
  SELECT,
  SHADOW,
  TOKEN_LIMIT,
} from "./document";
export { hostOf } from "./hosts";
export { registerMember } from "./parse";
export {
  configureRoot,
  currentDocument,
  deleteRoot,
  documentOfRoot,
  eachDocument,
  isRoot,
} from "./roots";
