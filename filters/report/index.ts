export { Counter, countedBy, writeTag } from "./counters";
export { configured, electUnder } from "./election";
export { metricOf, ownMetricOf } from "./metric-ids";
export { alsoReport, flushCounts, onReportTick } from "./report";
