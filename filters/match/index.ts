export { allHold } from "./holds";
export { readMatches } from "./read";
