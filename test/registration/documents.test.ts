import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio } from "../../control/istio/index.ts";
import { draftRoute, parseRoutes } from "../../control/route/index.ts";
import { weir } from "../e2e/weir-up.ts";

const documentOf = (variants: object[], spec: object = {}) =>
  stringify({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "chat", namespace: "inference" },
    spec: { hosts: ["chat.example.com"], variants, ...spec },
  });
const stable = { name: "stable", weight: 100, register: true };
const codesOf = (text: string) => parseRoutes(text).problems.map(({ code }) => code);

describe("a document with register", () => {
  it("needs neither endpoints nor a Service", () => {
    expect(codesOf(documentOf([stable]))).toEqual([]);
  });
  it("may list endpoints as well, or in other variants", () => {
    const listed = { name: "canary", weight: 0, endpoints: ["10.0.0.9:8000"] };
    expect(codesOf(documentOf([stable, listed]))).toEqual([]);
    expect(codesOf(documentOf([{ ...stable, endpoints: ["10.0.0.8:8000"] }, listed]))).toEqual([]);
  });
  it("in one variant is refused where another has no pods at all", () => {
    const service = { service: { name: "llm", port: 8000 } };
    const text = documentOf([stable, { name: "canary", weight: 0 }], service);
    expect(codesOf(text)).toEqual(["missing-endpoints"]);
  });
  it("is checked for plain Envoys", async () => {
    const { code, stdout, stderr } = await weir(["check", "-f", "-"], documentOf([stable]));
    expect([code, stdout, stderr]).toEqual([0, expect.any(String), ""]);
  });
  it("is refused by Istio beside a host outside the cluster, and else ignored", () => {
    const problemsOf = (service: object) => {
      const variants = [{ ...stable, endpoints: ["10.0.0.8:8000"] }];
      const [route] = parseRoutes(documentOf(variants, { service })).routes;
      if (!route) throw new Error("the document is not right");
      const state = create(RouteStateSchema, draftRoute(route, undefined));
      return renderIstio([state], {}).problems.map(({ code }) => code);
    };
    const service = { name: "llm", port: 8000 };
    expect(problemsOf(service)).toEqual([]);
    expect(problemsOf({ ...service, externalHost: "llm.example.com" })).toEqual([
      "register-in-istio",
    ]);
  });
});
