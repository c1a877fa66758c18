export { type Budgets, createBudgets, goneMs, type Lease, learningMs } from "./budgets.ts";
export {
  bucketOf,
  countOf,
  type Distribution,
  distributionOf,
  emptyDistribution,
  mean,
  quantile,
  shareAbove,
  sumOf,
  valueOfBucket,
} from "./distribution.ts";
export { createLedger, type Ledger, type Voices } from "./ledger.ts";
export { counterNames, histogramNames } from "./names.ts";
export {
  distributionIn,
  during,
  labelsOf,
  type Observation,
  type ObservedCounter,
  totalOf,
  without,
} from "./observation.ts";
export { readReport } from "./read.ts";
export { recorded } from "./recorded.ts";
export { fullMessage } from "./rest.ts";
