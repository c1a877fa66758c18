import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { appliedIn, type MeshFilters } from "../../control/api/index.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { createFleet } from "../../control/xds/index.ts";

const name = "inference/chat";
const state = (etag: string) => create(RouteStateSchema, { etag });

/** What Istio's proxies should report: the route's filters, and those of another one. */
const mesh: MeshFilters = {
  of: (route) =>
    route === name ? { etag: "7", revision: "new", revisions: new Set(["old", "new"]) } : undefined,
  knows: (revision) => ["old", "new", "other"].includes(revision),
};

function world() {
  let nowMs = 1_000_000;
  const fleet = createFleet(() => new Date(nowMs));
  const namespaces = new Map<string, Set<string>>();
  const spoken = (node: string) => namespaces.get(node);
  return {
    fleet,
    namespaces,
    later(ms: number) {
      nowMs += ms;
    },
    applied: (etag = "7") =>
      appliedIn(
        {
          fleet,
          peers: {
            proxyViews: () => [],
            proxies: () => [],
            has: () => false,
            granted: () => ({ leases: [], loads: [] }),
            onChange: () => () => {},
          },
          published: () => undefined,
          mesh: () => mesh,
          spoken,
        },
        () => true,
      )(name, state(etag)),
  };
}

describe("a route on proxies that Istio configures", () => {
  it("is applied where the filters report its newest revision", () => {
    const { fleet, applied } = world();
    fleet.reported("a", "new");
    fleet.reported("b", "old");
    expect(applied()).toMatchObject({
      wanted: 2,
      applied: 1,
      behind: [{ node: "b", reason: "reports revision old, not new", refused: false }],
    });
    fleet.reported("b", "new");
    expect(applied()).toMatchObject({ wanted: 2, applied: 2, behind: [] });
  });

  it("is not wanted on proxies that run other routes alone, and is in doubt where no one knows what runs", () => {
    const { fleet, applied, namespaces } = world();
    fleet.reported("a", "new");
    fleet.reported("b", "other");
    // What no route ever had is in doubt for routes of the namespaces that it speaks of alone.
    fleet.reported("stranger", "from before this service started");
    namespaces.set("stranger", new Set(["teamb"]));
    expect(applied()).toMatchObject({ wanted: 1, applied: 1 });
    fleet.reported("c", "from before this service started");
    expect(applied()).toMatchObject({ wanted: 2, applied: 1, behind: [{ node: "c" }] });
  });

  it("is not applied anywhere before the newest state is rendered", () => {
    const { fleet, applied } = world();
    fleet.reported("a", "new");
    expect(applied("8")).toMatchObject({
      wanted: 1,
      applied: 0,
      behind: [{ node: "a", reason: "not rendered yet" }],
    });
  });

  it("is in doubt on a proxy that is silent, until it is gone for good", () => {
    const { fleet, applied, later } = world();
    fleet.reported("a", "new");
    fleet.reported("b", "new");
    later(20_000);
    fleet.reported("a", "new");
    expect(applied()).toMatchObject({
      wanted: 2,
      applied: 1,
      behind: [{ node: "b", reason: "has not reported for 20 s" }],
    });
    later(45_000);
    fleet.reported("a", "new");
    expect(applied()).toMatchObject({ wanted: 1, applied: 1 });
  });
});
