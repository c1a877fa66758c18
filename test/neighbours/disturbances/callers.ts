import { type ClientHttp2Session, connect } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { namespaces, quiet, tokens } from "../namespaces.ts";
import type { Disturbance, World } from "../world.ts";

/** A call of the API as Connect's JSON; 0 and nothing when there is no answer. */
async function post(
  { service }: World,
  method: string,
  body: string | Uint8Array,
  token: string,
  contentType = "application/json",
): Promise<{ status: number; bytes: Uint8Array }> {
  try {
    const answer = await fetch(`${service.url}/weir.v1.${method}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": contentType },
      body: body as string,
      signal: AbortSignal.timeout(10_000),
    });
    return { status: answer.status, bytes: new Uint8Array(await answer.arrayBuffer()) };
  } catch {
    return { status: 0, bytes: new Uint8Array() };
  }
}

const watchersPerSession = 50;
const watchers = 1_000;

/** One message as Connect's stream carries it: a flag byte, the length, the JSON. */
function enveloped(json: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(Buffer.byteLength(json), 1);
  return Buffer.concat([head, Buffer.from(json)]);
}

/** Callers of the API who ask for too much, or for what is not theirs. */
export const callerDisturbances: Disturbance[] = [
  {
    name: "thousand-watchers",
    mayBreak: "the watchers, which may be cut",
    lastsMs: 10_000,
    async act(world) {
      const { service, isolation } = world;
      const sessions: ClientHttp2Session[] = [];
      for (let i = 0; i < watchers / watchersPerSession; i++) {
        const namespace = namespaces[i % namespaces.length] as string;
        const session = connect(service.url);
        session.on("error", () => {});
        sessions.push(session);
        world.opened(1);
        for (let n = 0; n < watchersPerSession; n++) {
          const watchesFleet = n % 10 === 0;
          const stream = session.request({
            ":method": "POST",
            ":path": watchesFleet
              ? "/weir.v1.FleetService/WatchProxies"
              : "/weir.v1.RouteService/WatchRoute",
            "content-type": "application/connect+json",
            authorization: `Bearer ${tokens.viewer(namespace)}`,
          });
          stream.on("error", () => {});
          stream.end(enveloped("{}"));
          // Every second one never reads what it asked for.
          if (n % 2 === 0)
            stream.on("data", (chunk: Buffer) =>
              isolation.saw(`viewer of ${namespace}`, [namespace], "WatchRoute", chunk),
            );
        }
        await sleep(200);
      }
      await sleep(4_000);
      for (const session of sessions) session.destroy();
      world.closed(sessions.length);
    },
  },
  {
    name: "looks-around",
    mayBreak: "nothing",
    lastsMs: 4_000,
    async act(world) {
      for (const namespace of namespaces)
        for (const [method, body] of [
          ["FleetService/ListProxies", "{}"],
          ["RouteService/ListRoutes", "{}"],
          ["AuditService/ListAudit", `{"limit":500}`],
          ["RolloutService/ListRollouts", "{}"],
        ] as const) {
          const { bytes } = await post(world, method, body, tokens.viewer(namespace));
          world.isolation.saw(`viewer of ${namespace}`, [namespace], method, bytes);
          await sleep(100);
        }
      for (const namespace of namespaces)
        for (const other of namespaces) {
          if (other === namespace) continue;
          const asked = JSON.stringify({ name: `${other}/chat` });
          const method = "RouteService/GetRoute";
          const { status, bytes } = await post(world, method, asked, tokens.viewer(namespace));
          // The name that was asked for may be told back with the refusal.
          if (status === 200) world.isolation.saw(namespace, [namespace], method, bytes);
        }
    },
  },
  {
    name: "hurried-readers",
    mayBreak: "nothing",
    lastsMs: 4_000,
    async act({ service }, random) {
      const paths = ["/", "/app.js", "/style.css", "/metrics", "/nothing", "/../../etc/passwd"];
      for (let i = 0; i < 60; i++) {
        const path = paths[i % paths.length];
        // Every third hangs up before the answer is there.
        const signal = AbortSignal.timeout(random() < 0.3 ? 2 : 5_000);
        const headers = { authorization: `Bearer ${tokens.viewer(quiet[0])}` };
        fetch(`${service.url}${path}`, { signal, headers })
          .then((answer) => answer.arrayBuffer())
          .catch(() => {});
        await sleep(50);
      }
    },
  },
  {
    name: "hostile-documents",
    mayBreak: "the call, which is refused",
    lastsMs: 5_000,
    async act(world) {
      const { journal } = world;
      const apply = "RouteService/ApplyRoute";
      for (const body of [
        "{",
        '{"route":'.repeat(1) + "[".repeat(50_000),
        JSON.stringify({ route: { spec: { hosts: Array(100_000).fill("a.example.com") } } }),
        `{"route":{"metadata":{"name":"${"x".repeat(3_000_000)}"}}}`,
        '{"route":{"metadata":{"name":"__proto__","namespace":"constructor"}}}',
        Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
        '{"unknown":1}',
      ]) {
        const { status } = await post(world, apply, body, tokens.people);
        if (status === 200)
          journal.say(`a hostile document was taken: ${String(body).slice(0, 80)}`);
        await sleep(100);
      }
      await post(world, apply, "{}", tokens.people, "text/html");
      // Who may only look, or only in one namespace, writes nothing.
      for (const token of [tokens.viewer(quiet[0]), tokens.proxy(quiet[0]), tokens.edge, "wrong"])
        await post(
          world,
          "RouteService/ShiftWeights",
          JSON.stringify({ name: `${quiet[0]}/chat`, weights: { canary: 50 }, reason: "forged" }),
          token,
        );
    },
  },
  {
    name: "forged-reports",
    mayBreak: "what is shown of the one who reports",
    lastsMs: 6_000,
    async act(world, random) {
      const token = world.fleet.reportToken();
      if (token === undefined) {
        world.journal.say("no report token was found: the reports come with a proxy's own");
      }
      const nodes = [
        "edge-1",
        "edge-2",
        `${quiet[0]}-1`,
        "wide-1",
        "rude-c-own",
        "x".repeat(5_000),
      ];
      for (let i = 0; i < 60; i++) {
        const node = nodes[i % nodes.length];
        const route = random() < 0.5 ? `${quiet[0]}/walked` : "rude-c/chat";
        const labels = { route, variant: "canary", tier: "gold" };
        const counters = [
          { name: "responses", label: "5xx", value: String(1_000_000 + i), ...labels },
          { name: "responses", label: "2xx", value: "1", ...labels },
          { name: "canary_requests", route, label: "canary", value: "18446744073709551615" },
        ];
        const epoch = Math.floor(random() * 1e6).toString(16);
        await post(
          world,
          "ReportService/Report",
          JSON.stringify({ node, epoch, revision: "0000000000000000", counters }),
          token ?? tokens.proxy("rude-c"),
        );
        await sleep(50);
      }
    },
  },
];
