export { findKey, findTenant, isCallerIn, isUnidentified } from "./identify";
export { shadowTenant, unknownTenant } from "./names";
export { readSources } from "./sources";
