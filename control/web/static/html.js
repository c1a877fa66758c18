import htm from "htm";
import { h } from "preact";

/** Tagged template that makes preact elements, so that the page needs no build step. */
export const html = htm.bind(h);

/** What is in the input that an event is of. @param {Event} event */
export function valueOf({ target }) {
  return target instanceof HTMLInputElement ? target.value : "";
}
