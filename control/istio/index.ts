export type { K8sObject, Manifest, Origin } from "./manifest.ts";
export {
  defaultWasmUrl,
  type Rendering,
  type RenderOptions,
  type RouteProblem,
  renderIstio,
} from "./render.ts";
export { defaultIstioVersion } from "./version.ts";
export { toYaml } from "./yaml.ts";
