export { countedBy } from "./counters";
export { onReportTick } from "./report";
