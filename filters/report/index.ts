export { countedBy } from "./counters";
export { electUnder } from "./election";
export { alsoReport, flushCounts, onReportTick } from "./report";
