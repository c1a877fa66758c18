// Source transformation for the filters: every string literal becomes bytes in
// static data, "abc" -> changetype<Ascii>(memory.data<u8>([3, 0, 97, 98, 99])),
// and literal("abc") a whole Text, so that constants need no code at start-up.
// See filters/sdk/ascii.ts for why. Import paths and comments stay as they are.

/** A comment, an import path, a literal text, or a literal in double or single quotes. */
const token =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<=\bfrom )"[^"]*"|\bliteral\("(?:[^"\\\n]|\\.)*"\)|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g;

/**
 * @param {string} source text of a file
 * @param {string} path of the file, from the directory that holds filters/
 * @returns {string} the same lines, and an import of Ascii where one is needed
 */
export function asciiLiterals(source, path) {
  let replaced = false;
  const changed = source.replace(token, (found, offset) => {
    if (found.startsWith("/") || source.slice(0, offset).endsWith("from ")) return found;
    if (found.startsWith("literal(")) return staticData(text(codesOf(found.slice(8, -1))));
    replaced = true;
    const codes = codesOf(found);
    return `changetype<Ascii>(${staticData([codes.length & 255, codes.length >> 8, ...codes])})`;
  });
  if (!replaced || /import \{[^}]*\bAscii\b/.test(source)) return changed;
  const sdk = `${"../".repeat(path.split("/").length - 1)}filters/sdk/ascii`;
  return `${changed}\nimport { Ascii } from "./${sdk}";\n`;
}

/** @param {number[]} bytes */
function staticData(bytes) {
  return `memory.data<u8>([${bytes.join(",")}])`;
}

/**
 * Bytes as filters/sdk/text.ts lays a Text out: tag, length, bytes.
 * @param {number[]} codes
 */
function text(codes) {
  const length = [codes.length & 255, codes.length >> 8];
  return [...length, codes[0] ?? 0, codes.at(-1) ?? 0, ...length, 0, 0, ...codes];
}

/** @param {string} literal */
function codesOf(literal) {
  const codes = [...unquote(literal)].map((letter) => letter.charCodeAt(0));
  if (codes.some((code) => code > 126)) throw new Error(`not ASCII: ${literal}`);
  return codes;
}

/** @param {string} literal */
function unquote(literal) {
  const inner = literal.slice(1, -1);
  return inner.replace(/\\(.)/g, (_, letter) => (letter === "0" ? "\0" : letter));
}
