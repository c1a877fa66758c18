export { countedBy } from "./counters";
export { electUnder } from "./election";
export { alsoReport, onReportTick } from "./report";
