export { openStore } from "./open.ts";
export {
  type Author,
  NotStoredError,
  type RouteEvent,
  StaleEtagError,
  type Store,
  StoreRefusedError,
  StoreUnavailableError,
} from "./store.ts";
