export * from "./names";
export { writeCellCounters, writeCellHistograms } from "./report";
export {
  Cell,
  cellOf,
  cellOfTenant,
  cellOfVariant,
  count,
  observe,
  writeLastName,
} from "./series";
export { mergeCells } from "./shared-cells";
