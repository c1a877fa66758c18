/** A bucket of requests as a way of the table: one module writes it, and another reads it. */
@unmanaged
export class BucketWay {
  /** Hash of route and tenant. */
  name: u64;
  /** Theoretical arrival time: when the bucket is full again, in ns. */
  tatNs: u64;
  /** With fleet limits this proxy's share, as ns between requests; 0 where none is assigned. */
  shareNs: u64;
}

/** Ways of a set. */
export const BUCKET_WAYS: usize = 4;
/** Bytes of a way without a share, weir.wasm's, and with one, weir-full.wasm's. */
export const WAY_BYTES: usize = offsetof<BucketWay>("shareNs");
export const FLEET_WAY_BYTES: usize = offsetof<BucketWay>();
