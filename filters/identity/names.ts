import { literal } from "../sdk";

// Names of callers that no header can carry: a comma ends a value, and a NUL is none.

/** Unknown tenants: those whom no route names. They share one bucket. */
export const unknownTenant = literal("\0");
/** Who pays for shadow traffic that is charged apart. */
export const shadowTenant = literal(",shadow");
