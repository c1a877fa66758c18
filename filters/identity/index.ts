export { findKey, findTenant, isCallerIn } from "./identify";
export { shadowTenant, unknownTenant } from "./names";
export { readSources } from "./sources";
