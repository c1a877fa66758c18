export {
  type Budgets,
  createBudgets,
  goneMs,
  type Lease,
  type LimitOf,
  learningMs,
  type Share,
} from "./budgets.ts";
export {
  addedSince,
  bucketOf,
  countOf,
  type Distribution,
  distributionOf,
  emptyDistribution,
  gamma,
  mean,
  quantile,
  shareAbove,
  sumOf,
  valueOfBucket,
} from "./distribution.ts";
export { type Count, createLedger, type Ledger, type Voices } from "./ledger.ts";
export { counterNames, histogramNames } from "./names.ts";
export {
  distributionIn,
  during,
  labelsOf,
  type Observation,
  type ObservedCounter,
  type ObservedDistribution,
  totalOf,
  type Where,
  without,
} from "./observation.ts";
export { readReport } from "./read.ts";
export { recorded } from "./recorded.ts";
export { fullMessage } from "./rest.ts";
