import type { Problem } from "../route/index.ts";

/** A problem of one of several routes. */
export interface RouteProblem extends Problem {
  /** "namespace/name"; empty when the options are wrong. */
  route: string;
}
