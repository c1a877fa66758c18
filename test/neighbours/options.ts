/** Where the control service under test keeps what it must keep. */
export type StoreKind = "lmdb" | "etcd";

/** What a run is told. */
export interface RunOptions {
  store: StoreKind;
  seed: number;
  seconds: number;
  /** Names of the disturbances, with commas; "" is all of them. */
  only: string;
  /** Factor on all bounds of time, for a machine that is slower than its stalls show. */
  slow: number;
  /** Healthy proxies of each quiet team. */
  healthy: number;
  /** Mean time between two writes of a person. */
  writeEveryMs: number;
  echo(line: string): void;
}
