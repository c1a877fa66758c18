import { may, type Role } from "../auth/index.ts";
import { isRouteName, routeName } from "../route/index.ts";
import type { Store } from "../store/index.ts";
import { permissionDenied, principal } from "./access.ts";
import { notFound } from "./errors.ts";

/** Entries looked through for those that a principal may see. */
const maxEntries = 10_000;

/**
 * The store as the principal of the request may use it: it checks every name, so that no handler
 * can forget to. Lists hold what the principal may see. A name that no route can have is not passed
 * on, because each kind of store has limits of its own for keys.
 */
export function guardStore(store: Store): Store {
  const sees = (name: string) => may(principal(), "viewer", namespaceOf(name));

  function need(role: Role, name: string): void {
    const who = principal();
    const namespace = namespaceOf(name);
    if (!may(who, role, namespace)) throw permissionDenied(who, role, namespace);
  }

  async function* only<Event>(
    events: AsyncIterable<Event>,
    nameIn: (event: Event) => string,
  ): AsyncIterable<Event> {
    for await (const event of events) if (sees(nameIn(event))) yield event;
  }

  return {
    async get(name) {
      need("viewer", name);
      return isRouteName(name) ? store.get(name) : undefined;
    },
    async list() {
      const { routes, sequence } = await store.list();
      return { routes: routes.filter(({ route }) => route && sees(routeName(route))), sequence };
    },
    async put(name, draft, etag, action, author) {
      need(action === "shift" ? "operator" : "admin", name);
      return store.put(name, draft, etag, action, author);
    },
    async delete(name, etag, author) {
      need("admin", name);
      if (!isRouteName(name)) throw notFound(name);
      return store.delete(name, etag, author);
    },
    async audit(name, limit) {
      if (name !== "") {
        need("viewer", name);
        return isRouteName(name) ? store.audit(name, limit) : [];
      }
      if (may(principal(), "viewer", "*")) return store.audit(name, limit);
      const entries = await store.audit("", maxEntries);
      return entries.filter((entry) => sees(entry.name)).slice(0, limit);
    },
    async getRollout(name) {
      need("viewer", name);
      return isRouteName(name) ? store.getRollout(name) : undefined;
    },
    async listRollouts() {
      return (await store.listRollouts()).filter((state) => sees(routeName(state.rollout)));
    },
    async putRollout(name, write, action, author) {
      need("operator", name);
      return store.putRollout(name, write, action, author);
    },
    watch: (after, signal) =>
      only(store.watch(after, signal), ({ state }) => routeName(state.route)),
    watchRollouts: (after, signal) =>
      only(store.watchRollouts(after, signal), ({ state }) => routeName(state.rollout)),
    ...(store.staleSince ? { staleSince: () => store.staleSince?.() } : {}),
    close: () => store.close(),
  };
}

const namespaceOf = (name: string) => name.split("/", 1)[0] ?? "";
