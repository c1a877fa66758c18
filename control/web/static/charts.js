import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { html } from "./html.js";

/** Lines differ by dashes as well as by colour, for eyes that do not tell the colours apart. */
const dashes = [[], [8, 4], [2, 3], [8, 3, 2, 3]];
const lineColours = ["--line-1", "--line-2", "--line-3", "--line-4"];
const heightPx = 170;

const charts = [
  ["requests_per_second", "requests/s"],
  ["error_percent", "errors, %"],
  ["time_to_first_token_p95_ms", "time to first token, p95, ms"],
  ["tokens_per_second", "tokens/s"],
  ["refused_per_second", "refused/s"],
];

/** The last fifteen minutes of a route, one chart per signal, one line per variant. */
export function Charts({ history }) {
  const { at = [], series = [] } = history ?? {};
  if (at.length < 2)
    return html`<p class="empty">the charts begin once two points have been taken, ten seconds after the start</p>`;
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

/** A colour of the style sheet as a canvas understands it. */
function colourOf(element, name) {
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

function Chart({ title, seconds, lines }) {
  const place = useRef(null);
  const chart = useRef(null);
  const dark = useDark();
  // JSON has no NaN: the API sends it as a word, the chart wants null.
  const data = [
    seconds,
    ...lines.map(({ values }) => values.map((v) => (typeof v === "number" ? v : null))),
  ];
  const names = lines.map(({ variant }) => variant || "all").join("\n");

  useEffect(() => {
    const axis = {
      stroke: colourOf(place.current, "--quiet"),
      font: "12px system-ui",
      grid: { stroke: "#8883", width: 1 },
      ticks: { show: false },
    };
    const colours = lineColours.map((name) => colourOf(place.current, name));
    chart.current = new uPlot(
      {
        width: place.current.clientWidth,
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
            stroke: colours[i % colours.length],
            dash: dashes[i % dashes.length],
            width: 2,
            points: { show: false },
            // Without a pointer on the chart the legend tells the newest value.
            value: (chart, v, series, index) =>
              format(index == null ? chart.data[series]?.at(-1) : v),
          })),
        ],
      },
      data,
      place.current,
    );
    const resized = new ResizeObserver(([{ contentRect }]) =>
      chart.current.setSize({ width: contentRect.width, height: heightPx }),
    );
    resized.observe(place.current);
    return () => {
      resized.disconnect();
      chart.current.destroy();
    };
  }, [names, dark]);
  useEffect(() => chart.current.setData(data));
  const latest = lines.map(({ variant, values }) => `${variant || "all"} ${format(values.at(-1))}`);
  return html`<figure>
    <figcaption>${title}</figcaption>
    <div ref=${place} role="img" aria-label=${`${title}, now: ${latest.join(", ")}`}></div>
  </figure>`;
}

function format(value) {
  return typeof value === "number" ? value.toFixed(1) : "not measured";
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString();
}
