export { openStore } from "./open.ts";
export {
  type Author,
  FencedError,
  NotStoredError,
  type RolloutEvent,
  type RolloutWrite,
  type RouteEvent,
  StaleEtagError,
  type Store,
  StoreRefusedError,
  StoreUnavailableError,
} from "./store.ts";
