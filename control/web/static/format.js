/** Numbers as people read them; "–" where nothing was measured. */

/**
 * A number of an answer; JSON has no NaN, so that the API sends it as a word.
 * @typedef {number | "NaN" | "Infinity" | "-Infinity" | undefined} Measured
 */

const none = "–";

/** A number that can be added up: 0 where none was measured. @param {Measured} value */
export function amountOf(value) {
  return typeof value === "number" ? value : 0;
}

/** @param {Measured} measured */
export function perSecond(measured) {
  const value = amountOf(measured);
  return value >= 100 ? Math.round(value).toLocaleString() : value.toFixed(1);
}

/** @param {Measured} value */
export function percent(value) {
  return typeof value !== "number" ? none : `${value.toFixed(value > 0 && value < 1 ? 2 : 1)} %`;
}

/** @param {Measured} value */
export function milliseconds(value) {
  if (typeof value !== "number") return none;
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;
}

/** A number without a fraction. @param {Measured} value */
export function whole(value) {
  return typeof value === "number" ? Math.round(value).toLocaleString() : none;
}

/** When something happened, the day only if it was another. @param {string} timestamp */
export function when(timestamp) {
  const date = new Date(timestamp);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

/** Weights of a route as it was stored. @param {import("../answers.ts").RouteState} [state] */
export function weights(state) {
  const variants = state?.route?.spec?.variants ?? [];
  return variants.length === 0
    ? "none"
    : variants.map((each) => `${each.name} ${each.weight ?? 0}`).join(", ");
}

/** "1 route", "2 routes". @param {number} many @param {string} what */
export function count(many, what) {
  return `${many} ${what}${many === 1 ? "" : "s"}`;
}
