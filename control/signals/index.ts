export {
  createSignalHistory,
  type RouteVariants,
  type SignalHistory,
  sampleMs,
} from "./history.ts";
