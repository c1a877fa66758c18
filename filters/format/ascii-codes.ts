// Characters as bytes of UTF-8 (RFC 20), by their usual names.
export const TAB: u8 = 0x09;
export const LF: u8 = 0x0a;
export const CR: u8 = 0x0d;
export const SPACE: u8 = 0x20;
export const QUOTE: u8 = 0x22; // "
export const HASH: u8 = 0x23; // #
export const PERCENT: u8 = 0x25; // %
export const STAR: u8 = 0x2a; // *
export const PLUS: u8 = 0x2b; // +
export const COMMA: u8 = 0x2c; // ,
export const HYPHEN: u8 = 0x2d; // -
export const DOT: u8 = 0x2e; // .
export const SLASH: u8 = 0x2f; // /
export const ZERO: u8 = 0x30; // 0
export const NINE: u8 = 0x39; // 9
export const COLON: u8 = 0x3a; // :
export const SEMICOLON: u8 = 0x3b; // ;
export const EQUALS: u8 = 0x3d; // =
export const QUESTION_MARK: u8 = 0x3f; // ?
export const OPEN_BRACKET: u8 = 0x5b; // [
export const BACKSLASH: u8 = 0x5c; // \
export const CLOSE_BRACKET: u8 = 0x5d; // ]
export const UNDERSCORE: u8 = 0x5f; // _
export const OPEN_BRACE: u8 = 0x7b; // {
export const CLOSE_BRACE: u8 = 0x7d; // }
