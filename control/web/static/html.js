import htm from "htm";
import { h } from "preact";

/** Tagged template that makes preact elements, so that the page needs no build step. */
export const html = htm.bind(h);
