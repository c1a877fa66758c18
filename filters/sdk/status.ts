/** What a host call answered; only the values Weir tells apart have names. */
export const OK: i32 = 0;
export const NOT_FOUND: i32 = 1;
export const CAS_MISMATCH: i32 = 8;

/** What a header callback tells the host. */
export const CONTINUE: i32 = 0;
export const STOP_ITERATION: i32 = 1;
