export { findKey, findTenant, isCallerIn, keyBytes, keyPtr } from "./identify";
export { KeySource, readSources } from "./sources";
