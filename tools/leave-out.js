// Source transformation for the filters: a condition that begins with `FULL &&` is
// false in the small module. The compiler would come to the same end, but only
// after it has laid out the literals behind the condition.

/**
 * @param {string} source
 * @returns {string} the same lines with each "(FULL && ...)" as "(false)"
 */
export function leaveOut(source) {
  let text = source;
  for (let at = text.indexOf("(FULL &&"); at >= 0; at = text.indexOf("(FULL &&")) {
    const end = closing(text, at);
    const lines = text.slice(at, end).replace(/[^\n]/g, "");
    text = `${text.slice(0, at)}(false${lines})${text.slice(end)}`;
  }
  return text;
}

/**
 * Behind the parenthesis that closes the one at `open`.
 * @param {string} text
 * @param {number} open
 */
function closing(text, open) {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth === 0) return at + 1;
  }
  throw new Error("a parenthesis is not closed");
}
