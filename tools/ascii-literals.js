// Source transformation for the filters: every string literal becomes bytes in
// static data, and literal("abc") a whole Text, so that constants need no code at
// start-up. Equal literals share their bytes: they come from one module that is
// made here, of functions, because the compiler leaves out those no one calls. See filters/sdk/ascii.ts for why. Import paths and comments stay
// as they are.

/** A comment, an import path, a literal text, or a literal in double or single quotes. */
const token =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<=\bfrom )"[^"]*"|\bliteral\("(?:[^"\\\n]|\\.)*"\)|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g;

/** The module of all literals, as the sources import it. */
export const literalModule = "filters/sdk/literals";

/**
 * @param {string} source text of a file
 * @param {string} path of the file, from the directory that holds filters/
 * @returns {string} the same lines, with an import of the literals they name
 */
export function asciiLiterals(source, path) {
  /** @type {Set<string>} */
  const names = new Set();
  const text = source.replace(token, (found, offset) => {
    const literal = literalAt(found, source.slice(0, offset));
    if (literal === undefined) return found;
    if (literal.whole) return literal.data;
    names.add(literal.name);
    return `${literal.name}()`;
  });
  if (names.size === 0) return text;
  const up = "../".repeat(path.split("/").length - 1);
  // In front, for the order of initialisation, and on the first line, so that line numbers stay.
  return `import { ${[...names].join(", ")} } from "./${up}${literalModule}"; ${text}`;
}

/**
 * The module that holds the literals of all sources; what no filter uses is not compiled.
 * @param {string[]} sources
 */
export function literalSource(sources) {
  /** @type {Map<string, string>} */
  const lines = new Map();
  for (const source of sources)
    for (const { 0: found, index } of source.matchAll(token)) {
      const literal = literalAt(found, source.slice(0, index));
      if (literal === undefined || literal.whole) continue;
      const { name, data } = literal;
      lines.set(name, `export function ${name}(): Ascii { return changetype<Ascii>(${data}); }`);
    }
  return ['import { Ascii } from "./ascii";', ...lines.values()].join("\n");
}

/**
 * @param {string} found
 * @param {string} before
 */
function literalAt(found, before) {
  if (found.startsWith("/") || before.endsWith("from ")) return undefined;
  const whole = found.startsWith("literal(");
  const codes = codesOf(whole ? found.slice(8, -1) : found);
  const length = [codes.length & 255, codes.length >> 8];
  // As filters/sdk/text.ts lays a Text out (tag, length, bytes), and ascii.ts an Ascii.
  const bytes = whole
    ? [...length, codes[0] ?? 0, codes.at(-1) ?? 0, ...length, 0, 0, ...codes]
    : [...length, ...codes];
  const name = `ascii_${Buffer.from(codes).toString("hex")}`;
  return { name, data: `memory.data<u8>([${bytes.join(",")}], 1)`, whole };
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
