export { initialBuckets, movesBetween, shiftBuckets } from "./buckets.ts";
export { controlHeaders } from "./control-headers.ts";
export type { RouteDraft } from "./draft.ts";
export { editorSchema } from "./editor-schema.ts";
export {
  arrivalConfig,
  copyConfig,
  type FilterConfigJson,
  type FilterName,
  filterConfig,
  filterConfigText,
  filterNames,
  type ReportTarget,
} from "./filter-config.ts";
export { createFleetLimits, type FleetLimits } from "./fleet-limit.ts";
export { incompressible } from "./incompressible.ts";
export { besideWeir, countsTokens, type FilterModule, headerModule } from "./module.ts";
export { resolveName, routeName, routesByHost } from "./names.ts";
export {
  type ParsedRoutes,
  parseRoute,
  parseRoutes,
  readDocuments,
  type TextDocument,
} from "./parse.ts";
export { draftRoute, type Plan, planRoute, sameButWeights, sameRoute, toYaml } from "./plan.ts";
export type { Problem } from "./problem.ts";
export { type Rule, rulesOf, shadowHeaders, type Target } from "./rules.ts";
export { type JsonSchema, schemaOf } from "./schema.ts";
export { mirrors, mostCopies } from "./shadow-policy.ts";
export { agrees, type ShareAgreement } from "./share.ts";
export { type Shifted, shiftWeights } from "./shift.ts";
export { checkStructure, nearest } from "./structure.ts";
export { durationsOf, hostConflicts, validateAll, validateRoute } from "./validate.ts";
export { bucketCount, toBuckets, toPercent } from "./weights.ts";
