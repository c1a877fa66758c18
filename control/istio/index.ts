export { checkFilterFailure } from "./check/failure.ts";
export type { K8sObject, Manifest } from "./manifest.ts";
export { mergeExisting } from "./merge/merge.ts";
export { type ObjectChange, planObjects } from "./merge/plan.ts";
export { previousStates } from "./merge/previous.ts";
export type { ReportTo } from "./objects/report.ts";
export type { RouteProblem } from "./problem.ts";
export {
  defaultWasmUrl,
  type Rendering,
  type RenderOptions,
  type RenderTarget,
  renderIstio,
  targetProblems,
} from "./render/render.ts";
export { toYaml } from "./text/yaml.ts";
export { defaultIstioVersion } from "./version.ts";
