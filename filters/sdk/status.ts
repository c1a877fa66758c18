/** What a host call answered; only the values Weir tells apart have names. */
export const OK: i32 = 0;

/** There is no such key, header or property. */
export const NOT_FOUND: i32 = 1;

/** Another worker wrote the key in between. */
export const CAS_MISMATCH: i32 = 8;

/** What a header callback tells the host. */
export const CONTINUE: i32 = 0;

/** The host waits: no later filter sees the request until it is resumed or answered. */
export const STOP_ITERATION: i32 = 1;
