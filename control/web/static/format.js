/** Numbers as people read them; "–" where nothing was measured. */

const none = "–";

export function perSecond(value = 0) {
  return value >= 100 ? Math.round(value).toLocaleString() : value.toFixed(1);
}

export function percent(value) {
  return value === undefined ? none : `${value.toFixed(value > 0 && value < 1 ? 2 : 1)} %`;
}

export function milliseconds(value) {
  if (value === undefined) return none;
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;
}

/** When something happened, the day only if it was another. */
export function when(timestamp) {
  const date = new Date(timestamp);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

export function weights(state) {
  const variants = state?.route?.spec?.variants ?? [];
  return variants.length === 0
    ? "none"
    : variants.map((each) => `${each.name} ${each.weight ?? 0}`).join(", ");
}

/** "1 route", "2 routes". */
export function count(many, what) {
  return `${many} ${what}${many === 1 ? "" : "s"}`;
}
