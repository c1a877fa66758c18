import type { Problem } from "../route/problem.ts";

/** A problem of one of several routes. */
export interface RouteProblem extends Problem {
  /** "namespace/name"; empty when the options are wrong. */
  route: string;
}
