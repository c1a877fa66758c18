// Where in a JSON document the next byte stands.

/** The first byte of a body. */
export const BEGIN: u8 = 0;
/** Within a byte order mark. */
export const MARK: u8 = 1;
export const MARK_END: u8 = 2;
/** Before the outermost object, and behind it. */
export const ROOT: u8 = 3;
export const DONE: u8 = 4;
export const VALUE: u8 = 5;
export const VALUE_OR_END: u8 = 6;
export const MEMBER: u8 = 7;
export const MEMBER_OR_END: u8 = 8;
export const AFTER_KEY: u8 = 9;
export const AFTER: u8 = 10;
/** true, false, null, and what Python reads beside them: NaN, Infinity. */
export const IN_WORD: u8 = 11;
/** Behind the sign of a number, and so on; see json-scalars.ts. */
export const SIGN: u8 = 12;
export const LEADING_ZERO: u8 = 13;
export const WHOLE: u8 = 14;
export const POINT: u8 = 15;
export const FRACTION: u8 = 16;
export const EXPONENT: u8 = 17;
export const EXPONENT_SIGN: u8 = 18;
export const POWER: u8 = 19;
export const IN_TEXT: u8 = 20;
export const ESCAPE: u8 = 21;
export const HEX: u8 = 22;
