export { Cell, cellOf, cellOfTenant, count, observe } from "./cells";
export * from "./names";
export { writeCellCounters, writeCellHistograms } from "./report";
export { mergeCells } from "./shared-cells";
