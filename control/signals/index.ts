export {
  createSignalHistory,
  type RouteVariants,
  type SignalHistory,
  sampleMs,
} from "./history.ts";
export { signalsOf } from "./signals.ts";
