import { interval, median, quantile, show } from "../statistics.js";

/** @typedef {Record<string, number>} Round microseconds per request by arm */

/** Weir's cost in relation to others', and the most that it should be. @type {readonly [string, string, number | undefined][]} */
const goals = [
  ["bare", "the unavoidable host calls alone", 1.4],
  ["lua", "Envoy's Lua", 1],
  ["native", "native filters doing all of it", 1],
  ["half", "native filters doing the cheap half", 2],
  ["rust", "the Rust SDK, header by header as its examples do", 0.6],
  ["rust-map", "the Rust SDK, all headers read at once as Weir does", undefined],
  ["gcore", "@gcoredev/proxy-wasm-sdk-as", 0.35],
  ["chain", "Weir's own four modules in a row", undefined],
];

/**
 * Each slice against the median slice of its round: what makes the machine slow for
 * a while slows all arms of a round alike, and falls out.
 * @param {readonly Round[]} measured @returns {Round[]}
 */
function paced(measured) {
  const middles = measured.map((round) => median(Object.values(round)));
  const pace = quantile(middles, 0.1);
  return measured.map((round, i) =>
    Object.fromEntries(
      Object.entries(round).map(([arm, cost]) => [arm, (cost / (middles[i] ?? 1)) * pace]),
    ),
  );
}

/** @param {readonly Round[]} rounds @param {string} arm */
const cost = (rounds, arm) => median(rounds.map((round) => round[arm] ?? 0));

/** What an arm adds to its own baseline. @param {readonly Round[]} rounds @param {string} arm @param {string} [base] */
const added = (rounds, arm, base = "none") => cost(rounds, arm) - cost(rounds, base);

/**
 * The report of one run.
 * @param {readonly import("./arms.js").Arm[]} arms
 * @param {readonly Round[]} rounds
 * @param {number} requestsPerSlice
 */
export function tables(arms, rounds, requestsPerSlice) {
  const measured = paced(rounds);
  const baseline = interval(measured, (drawn) => cost(drawn, "none"));
  const costs = arms
    .filter(({ name, open }) => name !== "none" && !open)
    .map(
      ({ name, says }) =>
        `| ${name} | ${says} | ${show(interval(measured, (drawn) => added(drawn, name)))} |`,
    );
  const ratios = goals.map(([other, says, goal]) => {
    const ratio = interval(measured, (drawn) => added(drawn, "weir") / added(drawn, other));
    return `| ${says} | ${show(ratio)} | ${goal === undefined ? "" : `<= ${goal}`} |`;
  });
  const busy = interval(
    measured,
    (drawn) => added(drawn, "weir-busy", "none-busy") / added(drawn, "weir"),
  );
  return [
    `${rounds.length} rounds of ${requestsPerSlice} requests for each arm; 95 % bootstrap intervals over the rounds.`,
    "",
    `Envoy without a filter takes ${show(baseline)} us of CPU per request. To that come:`,
    "",
    "| arm | what it does | us added |",
    "|---|---|--:|",
    ...costs,
    "",
    "| weir.wasm's cost against | ratio | goal |",
    "|---|--:|--:|",
    ...ratios,
    `| itself, with 1,000 streams open against none | ${show(busy)} | 1.00 +- 0.05 |`,
  ].join("\n");
}
