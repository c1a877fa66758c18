export { addressProblem } from "./address.ts";
export { initialBuckets, movesBetween, shiftBuckets } from "./buckets.ts";
export { type Condition, conditionsOf } from "./conditions.ts";
export { connectionsOf, serverConnections } from "./connections.ts";
export { controlHeaders, routeHeader, variantHeader } from "./control-headers.ts";
export { type CorsRules, corsRules } from "./cors.ts";
export { readDocuments } from "./document/documents.ts";
export { parseRoute, parseRoutes } from "./document/parse.ts";
export { type JsonSchema, schemaOf } from "./document/schema.ts";
export { checkStructure } from "./document/structure.ts";
export type { RouteDraft } from "./draft.ts";
export { endpointAddress, isNamed } from "./endpoint.ts";
export { type Excepted, exceptedOf } from "./except.ts";
export { failsOver } from "./fails-over.ts";
export {
  arrivalConfig,
  copyConfig,
  type FilterName,
  filterConfig,
  filterConfigText,
  filterNames,
  moduleConfig,
  type Place,
  type ReportTarget,
} from "./filter/filter-config.ts";
export { type FilterFailure, filterFailureOf, passInVain } from "./filter/filter-failure.ts";
export { createFleetLimits } from "./filter/fleet-limit.ts";
export { incompressible } from "./filter/incompressible.ts";
export { besideWeir, countsTokens, type FilterModule, headerModule } from "./filter/module.ts";
export { bodyLimit, selectedRoutes } from "./filter/select-policy.ts";
export { maxCopies, mirrors } from "./filter/shadow-policy.ts";
export { hostConflicts } from "./hosts/conflicts.ts";
export {
  type HostGroup,
  hostGroups,
  matches,
  readsBodies,
  routesByHost,
} from "./hosts/groups.ts";
export { type HostOrder, hostOrders } from "./hosts/order.ts";
export { meshHosts } from "./mesh-hosts.ts";
export { defaultNamespace, isRouteName, resolveName, routeName } from "./names.ts";
export { draftRoute, planRoute, sameButWeights, sameRoute, toYaml } from "./plan.ts";
export type { Problem, Report } from "./problem.ts";
export { isForPlainEnvoys } from "./register.ts";
export { answerHeaders, chosenRulesOf, type Rule, rulesOf } from "./rules.ts";
export {
  defaultModeHeader,
  defaultTagHeader,
  shadowHeaderNames,
  shadowHeaders,
} from "./shadow-headers.ts";
export { agrees, type ShareAgreement } from "./share.ts";
export { shiftWeights } from "./shift.ts";
export { durationsOf } from "./validate/resilience.ts";
export { validateAll, validateRoute } from "./validate/validate.ts";
export { bucketCount, toBuckets, toPercent } from "./weights.ts";
