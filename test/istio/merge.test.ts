import { readdirSync, readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import {
  mergeExisting,
  planObjects,
  previousStates,
  renderIstio,
  toYaml,
} from "../../control/istio/index.ts";
import { readObjects } from "../../control/objects/index.ts";
import { draftRoute, movesBetween, parseRoutes, routeName } from "../../control/route/index.ts";

function render(folder: string) {
  const existing = readObjects(
    readFileSync(`test/istio/merging/golden/${folder}/existing.yaml`, "utf8"),
  );
  const before = previousStates(existing);
  const { routes } = parseRoutes(
    readFileSync(`test/istio/merging/golden/${folder}/route.yaml`, "utf8"),
  );
  const states = routes.map((route) =>
    create(RouteStateSchema, draftRoute(route, before.get(routeName(route)))),
  );
  const target = folder.includes("http-route") ? { target: "gateway-api" as const } : {};
  const { manifests } = renderIstio(states, target);
  return {
    before,
    existing,
    routes,
    states,
    target,
    ...mergeExisting(manifests, existing, routes),
  };
}

const line = ({ code, message, path, route }: ReturnType<typeof render>["problems"][number]) =>
  `${route} ${code} ${path}: ${message}\n`;

// Refresh with: npx vitest run test/istio/merge.test.ts -u
describe("merging into what is there", () => {
  for (const folder of readdirSync("test/istio/merging/golden")) {
    test(folder, async () => {
      const { losses, manifests, problems } = render(folder);
      const lines = problems.map(line);
      if (folder.startsWith("refused-")) {
        expect(manifests).toEqual([]);
        await expect(lines.join("")).toMatchFileSnapshot(`merging/golden/${folder}/problems.txt`);
      } else {
        expect(lines).toEqual([]);
        await expect(toYaml(manifests)).toMatchFileSnapshot(`merging/golden/${folder}/istio.yaml`);
        await expect(losses.map(line).join("")).toMatchFileSnapshot(
          `merging/golden/${folder}/losses.txt`,
        );
      }
    });
  }

  test("merging its own result changes nothing", () => {
    for (const folder of ["adopt", "another-namespace", "http-route"]) {
      const { manifests, routes, target } = render(folder);
      const text = toYaml(manifests);
      const states = routes.map((route) => create(RouteStateSchema, draftRoute(route, undefined)));
      const again = mergeExisting(renderIstio(states, target).manifests, readObjects(text), routes);
      expect(again.problems).toEqual([]);
      expect(again.losses).toEqual([]);
      expect(readObjects(toYaml(again.manifests))).toEqual(readObjects(text));
    }
  });

  test("no user moves but those that the new weights ask for", () => {
    const { before, states } = render("again");
    const [state] = states;
    const moves = movesBetween(before.get("inference/chat")?.buckets ?? [], state?.buckets ?? []);
    expect(moves.map(({ from, percent, to }) => ({ from, percent, to }))).toEqual([
      { from: "stable", percent: 20, to: "canary" },
    ]);
  });
});

describe("planning against objects", () => {
  const routes = ["inference/chat"];
  test("what is rendered is what is there: nothing would change", () => {
    const { manifests } = render("adopt");
    const changes = planObjects(manifests, readObjects(toYaml(manifests)), routes);
    expect(changes.map(({ action }) => action)).toEqual(manifests.map(() => "none"));
  });

  test("fields that the API server fills in are no difference, and other people's labels neither", () => {
    const { manifests } = render("adopt");
    const objects = readObjects(toYaml(manifests)).map((object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        labels: { ...object.metadata.labels, other: "label" },
        uid: "1",
      },
      status: { conditions: [] },
    }));
    expect(planObjects(manifests, objects, routes).every(({ action }) => action === "none")).toBe(
      true,
    );
  });

  test("it creates, changes and deletes, and leaves other routes' objects alone", () => {
    const { manifests } = render("adopt");
    const there = readObjects(toYaml(manifests)).filter(({ kind }) => kind !== "DestinationRule");
    const service = there.find(({ kind }) => kind === "VirtualService");
    (service?.spec?.http as { timeout?: string }[])[1] = { timeout: "1s" };
    const object = (name: string, route: string) => ({
      apiVersion: "networking.istio.io/v1",
      kind: "ServiceEntry",
      metadata: { name, namespace: "inference", annotations: { "weir.dev/route": route } },
      spec: {},
    });
    const changes = planObjects(
      manifests,
      [...there, object("old", "inference/chat"), object("other", "inference/other")],
      routes,
    );
    expect(changes.map(({ action, name }) => `${action} ${name}`)).toEqual([
      "create inference/llm",
      "none istio-system/weir-chat.inference",
      "change inference/chat",
      "delete inference/old",
    ]);
    expect(changes[2]?.diff).toContain("-    - timeout: 1s");
  });
});
