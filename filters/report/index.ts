export { countedBy } from "./counters";
export { alsoReport, onReportTick } from "./report";
