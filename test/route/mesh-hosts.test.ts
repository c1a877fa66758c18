import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { meshHosts } from "../../control/route/mesh-hosts.ts";

const state = (namespace: string, ...hosts: string[]): RouteState =>
  create(RouteStateSchema, {
    route: { metadata: { namespace, name: hosts[0] ?? "" }, spec: { hosts } },
  });
/** What each state is found by, from the sidecars of a namespace. */
const found = (namespace: string, ...states: RouteState[]) => {
  const hosts = meshHosts(states, namespace);
  return states.map((each) => hosts.get(each));
};

describe("the names under which a mesh sends requests for a route", () => {
  const chat = "chat.inference.svc.cluster.local";

  it("are the short ones of its Service too, as Istio puts them into the virtual host", () => {
    const [hosts] = found("inference", state("inference", chat));
    expect(hosts).toEqual([chat, "chat.inference.svc", "chat.inference", "chat"]);
  });

  it("have the bare one only for callers of the Service's own namespace", () => {
    const [hosts] = found("web", state("inference", chat));
    expect(hosts).toEqual([chat, "chat.inference.svc", "chat.inference"]);
  });

  it("are those of the Service beside the route where a bare name is written", () => {
    const [hosts] = found("inference", state("inference", "chat"));
    expect(hosts).toEqual(["chat", chat, "chat.inference.svc", "chat.inference"]);
  });

  it("follow the domain that the cluster has", () => {
    const [hosts] = found("ml", state("ml", "embed.ml.svc.corp.example"));
    expect(hosts).toEqual(["embed.ml.svc.corp.example", "embed.ml.svc", "embed.ml", "embed"]);
  });

  it.each(["*", "*.inference.svc.cluster.local", "chat.example.com", "chat.inference", "svc"])(
    "are not guessed for %s in another namespace",
    (host) => {
      const [hosts] = found("inference", state("other", host));
      expect(hosts?.filter((name) => name === "chat.inference.svc")).toEqual([]);
    },
  );

  it("leave to each route what it wrote down, and to none what two could mean", () => {
    const [one, two, three] = found(
      "inference",
      state("inference", chat),
      state("inference", "chat.inference"),
      state("inference", "chat.inference.svc.corp.example"),
    );
    expect(one).toEqual([chat]);
    expect(two).toEqual(["chat.inference"]);
    expect(three).toEqual(["chat.inference.svc.corp.example"]);
  });

  it("are those of all routes that share the host, and of none that write it in another way", () => {
    const short = ["chat.inference.svc", "chat.inference", "chat"];
    expect(found("inference", state("inference", chat), state("inference", chat))).toEqual([
      [chat, ...short],
      [chat, ...short],
    ]);
    const [one, two] = found("other", state("inference", chat), state("inference", "chat"));
    expect(one).toEqual([chat]);
    expect(two).toEqual(["chat"]);
  });

  it("are never more than a filter takes", () => {
    const many = Array.from({ length: 60 }, (_, i) => `s${i}.ml.svc.cluster.local`);
    expect(found("ml", state("ml", ...many))[0]).toHaveLength(64);
    const max = Array.from({ length: 64 }, (_, i) => `s${i}.ml.svc.cluster.local`);
    expect(found("ml", state("ml", ...max))[0]).toEqual(max);
  });
});
