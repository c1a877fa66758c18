import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { call, setToken } from "./api.js";
import { Audit } from "./audit.js";
import { html } from "./html.js";
import { Proxies } from "./proxies.js";
import { Routes } from "./routes.js";

const intervalMs = 1000;

/** Fetches everything the page shows, once a second, and keeps the last good answer when a fetch fails. */
function useControlService() {
  const [state, setState] = useState({ loading: true, routes: [], proxies: [], audit: [] });
  useEffect(() => {
    let stopped = false;
    let timer;
    async function refresh() {
      try {
        const [routes, proxies, audit] = await Promise.all([
          call("RouteService/ListRoutes"),
          call("FleetService/ListProxies"),
          call("AuditService/ListAudit", { limit: 20 }),
        ]);
        if (stopped) return;
        setState({
          routes: routes.routes ?? [],
          proxies: proxies.proxies ?? [],
          audit: audit.entries ?? [],
        });
      } catch (error) {
        if (stopped) return;
        setState((last) => ({ ...last, loading: false, error }));
      }
      // A hidden page asks no one anything.
      timer = setTimeout(refresh, document.hidden ? intervalMs * 10 : intervalMs);
    }
    refresh();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, []);
  return state;
}

function Connection({ error }) {
  if (!error)
    return html`<p class="connection" role="status"><span class="dot ok"></span> live</p>`;
  if (error.code === "unauthenticated") return html`<${TokenForm} />`;
  return html`<p class="connection" role="alert">
    <span class="dot bad"></span> not connected: ${error.message}; what you see is the last answer, trying again
  </p>`;
}

function TokenForm() {
  const submit = (event) => {
    event.preventDefault();
    setToken(new FormData(event.target).get("token"));
  };
  return html`<form class="connection" onSubmit=${submit}>
    <label>token <input name="token" type="password" autocomplete="current-password" required /></label>
    <button>sign in</button>
  </form>`;
}

function App() {
  const { loading, routes, proxies, audit, error } = useControlService();
  return html`
    <header><h1>Weir</h1><${Connection} error=${error} /></header>
    <main aria-busy=${loading ? "true" : "false"}>
      <${Routes} routes=${routes} loading=${loading} />
      <${Proxies} proxies=${proxies} loading=${loading} />
      <${Audit} entries=${audit} />
    </main>
  `;
}

render(html`<${App} />`, document.getElementById("app"));
