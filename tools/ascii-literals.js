// Source transformation for the filters: every string literal becomes the address
// of bytes in static data, "abc" an Ascii and literal("abc") a Text. See
// filters/sdk/ascii.ts and text.ts for why. All literals stand in one generated
// file, filters/sdk/literals.ts, so that a text used twice lies in memory once.
// Import paths, comments and the names of fields in offsetof stay as they are.

/** A comment, an import path, a field's offset, or a literal in double or single quotes, alone or as a Text. */
const token =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<=\bfrom )"[^"]*"|\boffsetof<\w+>\("\w+"\)|(?:\bliteral\(\s*(?=["']))?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/g;
const asText = /^literal\(\s*/;

/** @typedef {Map<string, string>} Pool declarations of constants by their name */

/**
 * @param {string} source text of a file
 * @param {string} path of the file, from the directory that holds filters/
 * @param {Pool} pool takes the literals found
 * @returns {string} the same lines, with an import of the literals in front where there are any
 */
export function asciiLiterals(source, path, pool) {
  const used = new Set();
  const text = source.replace(token, (found, offset) => {
    if (/^(\/|offsetof<)/.test(found) || source.slice(0, offset).endsWith("from ")) return found;
    const isText = asText.test(found);
    const name = declare(unquote(found.replace(asText, "")), isText, pool);
    used.add(name);
    // The call's own closing parenthesis follows.
    return isText ? `(${name}` : name;
  });
  if (used.size === 0) return text;
  const up = "../".repeat(path.split("/").length - 1);
  // First, so that they are there before a variable's initial value asks for one.
  return `import { ${[...used].join(", ")} } from "./${up}filters/sdk/literals"; ${text}`;
}

/** The generated file. @param {Pool} pool */
export function literalsFile(pool) {
  return `import { Ascii } from "./ascii";\n${[...pool.values()].join("\n")}\n`;
}

/** @param {string} value @param {boolean} isText @param {Pool} pool @returns {string} name of the constant */
function declare(value, isText, pool) {
  const codes = [...value].map((letter) => letter.charCodeAt(0));
  if (codes.some((code) => code > 126)) throw new Error(`not ASCII: ${value}`);
  const name = `${isText ? "text" : "ascii"}_${codes.map((code) => code.toString(16).padStart(2, "0")).join("")}`;
  const length = [codes.length & 255, codes.length >> 8];
  const tag = [...length, codes[0] ?? 0, codes.at(-1) ?? 0];
  const bytes = isText ? [...tag, ...length, 0, 0, ...codes] : [...length, ...codes];
  const data = `memory.data<u8>([${bytes.join(",")}])`;
  pool.set(name, `@lazy export const ${name} = ${isText ? data : `changetype<Ascii>(${data})`};`);
  return name;
}

/** @param {string} literal */
function unquote(literal) {
  const inner = literal.slice(1, -1);
  return inner.replace(/\\(.)/g, (_, letter) =>
    letter === "0" ? "\0" : letter === "n" ? "\n" : letter,
  );
}
