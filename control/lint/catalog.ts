import { answerLints } from "./answers.ts";
import { clusterLints } from "./around.ts";
import { connectionLints } from "./connections.ts";
import { failureLints } from "./failure.ts";
import type { Lint } from "./finding.ts";
import { podLints } from "./pods.ts";
import { splitLints } from "./split.ts";

/** All lints, by theme. */
export const lints: readonly Lint[] = [
  ...answerLints,
  ...splitLints,
  ...podLints,
  ...connectionLints,
  ...failureLints,
  ...clusterLints,
];
