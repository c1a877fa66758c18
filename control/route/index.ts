export { initialBuckets, movesBetween, shiftBuckets } from "./buckets.ts";
export { connectionsOf, type ServerConnections, serverConnections } from "./connections.ts";
export { controlHeaders } from "./control-headers.ts";
export { type CorsRules, corsRules } from "./cors.ts";
export { readDocuments, type TextDocument } from "./documents.ts";
export type { RouteDraft } from "./draft.ts";
export { editorSchema } from "./editor-schema.ts";
export { type Excepted, exceptedOf } from "./except.ts";
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
export { type FilterFailure, filterFailureOf, passInVain } from "./filter-failure.ts";
export { createFleetLimits, type FleetLimits } from "./fleet-limit.ts";
export { incompressible } from "./incompressible.ts";
export { besideWeir, countsTokens, type FilterModule, headerModule } from "./module.ts";
export { defaultNamespace, isRouteName, resolveName, routeName, routesByHost } from "./names.ts";
export { type ParsedRoutes, parseRoute, parseRoutes } from "./parse.ts";
export { draftRoute, type Plan, planRoute, sameButWeights, sameRoute, toYaml } from "./plan.ts";
export type { Problem } from "./problem.ts";
export {
  answerHeaders,
  type Rule,
  rulesOf,
  shadowHeaders,
  type Target,
  variantHeader,
} from "./rules.ts";
export { type JsonSchema, schemaOf } from "./schema.ts";
export { mirrors, mostCopies } from "./shadow-policy.ts";
export { agrees, type ShareAgreement } from "./share.ts";
export { type Shifted, shiftWeights } from "./shift.ts";
export { checkStructure, nearest } from "./structure.ts";
export { hostConflicts, validateAll, validateRoute } from "./validate.ts";
export { durationsOf } from "./validate-resilience.ts";
export { bucketCount, toBuckets, toPercent } from "./weights.ts";
