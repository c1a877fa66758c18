export { EtcdAddressError, parseEtcdAddress } from "./address.ts";
export { createEtcdClient, type EtcdClient } from "./client.ts";
export {
  bytes,
  deleteOp,
  endOf,
  fenceKey,
  getOp,
  kvsOf,
  numberOf,
  putOp,
  text,
  unchanged,
} from "./keys.ts";
export { EtcdError } from "./members.ts";
