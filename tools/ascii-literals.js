// Source transformation for the filters: every string literal becomes bytes in
// static data, "abc" -> changetype<Ascii>(memory.data<u8>([3, 0, 97, 98, 99])).
// See filters/sdk/ascii.ts for why. Import paths and comments stay as they are.

/** A comment, an import path, or a literal in double or single quotes. */
const token =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<=\bfrom )"[^"]*"|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g;

/**
 * @param {string} source text of a file
 * @param {string} path of the file, from the directory that holds filters/
 * @returns {string} the same lines, and an import of Ascii where one is needed
 */
export function asciiLiterals(source, path) {
  let replaced = false;
  const text = source.replace(token, (found, offset) => {
    if (found.startsWith("/") || source.slice(0, offset).endsWith("from ")) return found;
    replaced = true;
    const value = unquote(found);
    const codes = [...value].map((letter) => letter.charCodeAt(0));
    if (codes.some((code) => code > 126)) throw new Error(`not ASCII: ${found}`);
    return `changetype<Ascii>(memory.data<u8>([${[codes.length & 255, codes.length >> 8, ...codes].join(",")}]))`;
  });
  if (!replaced || /import \{[^}]*\bAscii\b/.test(source)) return text;
  const sdk = `${"../".repeat(path.split("/").length - 1)}filters/sdk/ascii`;
  return `${text}\nimport { Ascii } from "./${sdk}";\n`;
}

/** @param {string} literal */
function unquote(literal) {
  const inner = literal.slice(1, -1);
  return inner.replace(/\\(.)/g, (_, letter) => (letter === "0" ? "\0" : letter));
}
