export { BUCKET_WAYS, BucketWay, FLEET_WAY_BYTES, WAY_BYTES } from "./bucket-way";
export {
  BUCKETS,
  CONVERSATIONS,
  DEMAND,
  FLEET_BUCKETS,
  HASHED_KEY,
  hashedKey,
  NUMBERED_KEY,
  numberedKey,
  OVERLOAD,
  PLAIN_KEY,
  plainKey,
  SERIES,
  TOKENS,
} from "./keys";
export { MAX_TRIES, peekSet, readSet, wayIn, writeSet } from "./table";
