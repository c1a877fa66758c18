export { Cell, cellOf, cellOfTenant, count, observe, writeLastName } from "./cells";
export * from "./names";
export { writeCellCounters, writeCellHistograms } from "./report";
export { mergeCells } from "./shared-cells";
