export { initialBuckets, movesBetween, shiftBuckets } from "./buckets.ts";
export type { RouteDraft } from "./draft.ts";
export {
  arrivalConfig,
  filterConfig,
  filterConfigText,
  type ReportTarget,
} from "./filter-config.ts";
export { fleetLimits } from "./fleet-limit.ts";
export { incompressible } from "./incompressible.ts";
export { besideWeir, type WasmModule, wasmModule } from "./module.ts";
export { resolveName, routeName } from "./names.ts";
export { type ParsedRoutes, parseRoute, parseRoutes } from "./parse.ts";
export { draftRoute, type Plan, planRoute, sameRoute, toYaml } from "./plan.ts";
export type { Problem } from "./problem.ts";
export { type JsonSchema, schemaOf } from "./schema.ts";
export { mirrors, mostCopies } from "./shadow-policy.ts";
export { type Shifted, shiftWeights } from "./shift.ts";
export { nearest } from "./structure.ts";
export { controlHeaders, hostConflicts, validateAll, validateRoute } from "./validate.ts";
export { bucketCount, toBuckets, toPercent } from "./weights.ts";
