export { Cell, cellOf, count, observe } from "./cells";
export * from "./names";
export { writeCellCounters, writeCellHistograms } from "./report";
export { mergeCells } from "./shared-cells";
