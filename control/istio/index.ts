export { checkFilterFailure } from "./check-failure.ts";
export type { K8sObject, Manifest, Origin } from "./manifest.ts";
export { mergeExisting } from "./merge.ts";
export { type ObjectChange, planObjects } from "./plan.ts";
export { previousStates } from "./previous.ts";
export type { RouteProblem } from "./problem.ts";
export {
  defaultWasmUrl,
  type Rendering,
  type RenderOptions,
  type RenderTarget,
  renderIstio,
  targetProblems,
} from "./render.ts";
export type { ReportTo } from "./report.ts";
export { defaultIstioVersion } from "./version.ts";
export { toYaml } from "./yaml.ts";
