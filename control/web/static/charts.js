import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { html } from "./html.js";

/** @import { HistorySeriesJson } from "../../gen/weir/v1/signals_pb.ts" */
/** @import { AnswerOf } from "../answers.ts" */

/** Lines differ by dashes as well as by colour, for eyes that do not tell the colours apart. */
const dashes = [[], [8, 4], [2, 3], [8, 3, 2, 3]];
const lineColours = ["--line-1", "--line-2", "--line-3", "--line-4"];
const heightPx = 170;

/** @type {[signal: string, title: string][]} */
const charts = [
  ["requests_per_second", "requests/s"],
  ["error_percent", "errors, %"],
  ["time_to_first_token_p95_ms", "time to first token, p95, ms"],
  ["tokens_per_second", "tokens/s"],
  ["refused_per_second", "refused/s"],
];

/**
 * The last fifteen minutes of a route, one chart per signal, one line per variant.
 * @param {{ history?: AnswerOf<"SignalService/GetHistory"> }} of
 */
export function Charts({ history }) {
  const { at = [], series = [] } = history ?? {};
  if (at.length < 2)
    return html`<p class="empty">charts appear ten seconds after the start, when two points are recorded</p>`;
  const seconds = at.map((time) => Date.parse(time) / 1000);
  return html`<div class="charts">
    ${charts.map(([signal, title]) => {
      const lines = series.filter((each) => each.signal === signal);
      return lines.some(({ values }) => values?.some((value) => typeof value === "number"))
        ? html`<${Chart} key=${signal} title=${title} seconds=${seconds} lines=${lines} />`
        : html`<figure key=${signal}><figcaption>${title}</figcaption><p class="empty">nothing was measured</p></figure>`;
    })}
  </div>`;
}

/** Whether the page is dark now: canvases do not follow the style sheet by themselves. */
function useDark() {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const changed = () => setDark(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return dark;
}

/** A colour of the style sheet as a canvas understands it. @param {HTMLElement} element @param {string} name */
function colourOf(element, name) {
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

/** @param {{ title: string, seconds: number[], lines: HistorySeriesJson[] }} of */
function Chart({ title, seconds, lines }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const chart = useRef(/** @type {uPlot | null} */ (null));
  const dark = useDark();
  // JSON has no NaN: the API sends it as a word, the chart wants null.
  /** @type {uPlot.AlignedData} */
  const data = [
    seconds,
    ...lines.map(({ values = [] }) => values.map((v) => (typeof v === "number" ? v : null))),
  ];
  const names = lines.map(({ variant }) => variant || "all").join("\n");

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const axis = {
      stroke: colourOf(element, "--quiet"),
      font: "12px system-ui",
      grid: { stroke: "#8883", width: 1 },
      ticks: { show: false },
    };
    const colours = lineColours.map((name) => colourOf(element, name));
    const drawn = new uPlot(
      {
        width: element.clientWidth,
        height: heightPx,
        cursor: { sync: { key: "weir" }, drag: { x: false, y: false } },
        legend: { live: true },
        scales: { y: { range: (_chart, _low, high) => [0, Math.max(high ?? 0, 1) * 1.1] } },
        axes: [
          { ...axis, size: 30, space: 70, values: (_chart, splits) => splits.map(clock) },
          { ...axis, size: 50, space: 35 },
        ],
        series: [
          { label: "at", value: (_chart, v) => (v == null ? "now" : clock(v)) },
          ...names.split("\n").map((label, i) => ({
            label,
            stroke: colours[i % colours.length] ?? "",
            dash: dashes[i % dashes.length] ?? [],
            width: 2,
            points: { show: false },
            // Without a pointer on the chart the legend tells the newest value.
            value: (
              /** @type {uPlot} */ chart,
              /** @type {number} */ v,
              /** @type {number} */ series,
              /** @type {number | null} */ index,
            ) => format(index == null ? chart.data[series]?.at(-1) : v),
          })),
        ],
      },
      data,
      element,
    );
    chart.current = drawn;
    const resized = new ResizeObserver(() =>
      drawn.setSize({ width: element.clientWidth, height: heightPx }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      drawn.destroy();
    };
  }, [names, dark]);
  useEffect(() => chart.current?.setData(data));
  const latest = lines.map(
    ({ variant, values = [] }) => `${variant || "all"} ${format(values.at(-1))}`,
  );
  return html`<figure>
    <figcaption>${title}</figcaption>
    <div ref=${place} role="img" aria-label=${`${title}, now: ${latest.join(", ")}`}></div>
  </figure>`;
}

/** @param {unknown} value */
function format(value) {
  return typeof value === "number" ? value.toFixed(1) : "not measured";
}

/** @param {number} seconds */
function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString();
}
