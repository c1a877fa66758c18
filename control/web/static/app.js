import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { hasToken, setToken } from "./api.js";
import { Audit } from "./audit.js";
import { usePolled, useRoutes } from "./data.js";
import { html } from "./html.js";
import { useHold, useTrouble } from "./outcome.js";
import { Proxies } from "./proxies.js";
import { Rollouts } from "./rollouts.js";
import { Route } from "./route.js";
import { Routes } from "./routes.js";

/** @import { RouteState, AnswerOf } from "../answers.ts" */

const tabs = [
  ["routes", "Routes"],
  ["rollouts", "Rollouts"],
  ["proxies", "Proxies"],
  ["changes", "Changes"],
];

/** Where one is: "#/routes", "#/routes/inference/chat", "#/proxies", "#/changes". */
function usePlace() {
  const read = () => decodeURIComponent(location.hash.replace(/^#\/?/, "")) || "routes";
  const [place, setPlace] = useState(read);
  useEffect(() => {
    const moved = () => setPlace(read());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const [tab = "", ...rest] = place.split("/");
  return { tab, name: rest.join("/") };
}

function Connection() {
  const error = useTrouble();
  const hold = useHold();
  if (!error && hold)
    return html`<p class="connection" role="alert"><span class="dot bad"></span> nothing is sent to proxies: ${hold}</p>`;
  if (!error)
    return html`<p class="connection" role="status"><span class="dot ok"></span> live</p>`;
  if (error.code === "unauthenticated") return html`<${TokenForm} />`;
  return html`<p class="connection" role="alert">
    <span class="dot bad"></span> cannot reach the control service: ${navigator.onLine ? error.message : "this browser is offline"}; showing the last answer, retrying
  </p>`;
}

function TokenForm() {
  const submit = (/** @type {SubmitEvent & { currentTarget: HTMLFormElement }} */ event) => {
    event.preventDefault();
    setToken(String(new FormData(event.currentTarget).get("token")));
  };
  return html`<form class="connection" onSubmit=${submit}>
    <span role="alert"><span class="dot bad"></span> not signed in${hasToken() ? ": the token is wrong or has expired" : ""}</span>
    <label>token <input name="token" type="password" autocomplete="current-password" required /></label>
    <button>sign in</button>
  </form>`;
}

/**
 * @param {object} of
 * @param {string} of.tab
 * @param {string} of.name of the route that is looked at; "" for all
 * @param {{ routes: ReadonlyMap<string, RouteState>, loading: boolean }} of.state
 * @param {AnswerOf<"SignalService/ListSignals">["routes"]} of.signals
 */
function Page({ tab, name, state, signals }) {
  if (tab === "rollouts") return html`<${Rollouts} />`;
  if (tab === "proxies") return html`<${Proxies} />`;
  if (tab === "changes") return html`<${Audit} />`;
  if (name)
    return html`<${Route} key=${name} name=${name} state=${state.routes.get(name)} loading=${state.loading} />`;
  return html`<${Routes} ...${state} signals=${signals} />`;
}

function App() {
  const { tab, name } = usePlace();
  const state = useRoutes();
  const overview = tab === "routes" && !name;
  const { answer } = usePolled(overview ? "SignalService/ListSignals" : "", {}, 2000);
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const arrived = useRef(false);
  // Whoever follows a link with the keyboard or a screen reader lands on what it led to.
  useEffect(() => {
    if (arrived.current) main.current?.focus();
    arrived.current = true;
  }, [tab, name]);
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {MouseEvent} */ event) => {
      event.preventDefault();
      main.current?.focus();
    }}>skip to content</a>
    <header>
      <h1>Weir</h1>
      <nav aria-label="pages">${tabs.map(([id, title]) => html`<a href=${`#/${id}`} aria-current=${tab === id ? "page" : undefined}>${title}</a>`)}</nav>
      <${Connection} />
    </header>
    <main id="main" tabindex="-1" ref=${main} aria-busy=${state.loading ? "true" : "false"}>
      <${Page} tab=${tab} name=${name} state=${state} signals=${answer?.routes} />
    </main>
  `;
}

const place = document.getElementById("app");
if (place) render(html`<${App} />`, place);
