export { type BuilderOptions, createBuilder } from "./build.ts";
export { type Edition, type Held, heldBy, type Routes } from "./edition.ts";
export { createLane, type Lane, type Refused, type Standing } from "./lane.ts";
export { takeBack } from "./take-back.ts";
