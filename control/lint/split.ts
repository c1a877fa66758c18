import { shadowHeaders } from "../route/index.ts";
import type { Lint } from "./finding.ts";

/** Lints about who goes where: splits, mirrors, drills, identities. */
export const splitLints: readonly Lint[] = [
  {
    id: "hash-is-not-sticky",
    severity: "warning",
    reason:
      "consistent hashing chooses among the pods of a variant; each request gets a random variant unless canary.stickyBy is set",
    check: ({ spec }) => {
      const live = (spec?.variants ?? []).filter(({ weight }) => weight > 0);
      return spec?.resilience?.balance?.hash && live.length > 1 && !spec.canary
        ? [
            {
              path: "spec.resilience.balance.hash",
              message: `hash does not keep a user on one of the variants ${live.map(({ name }) => name).join(", ")}: add canary.stickyBy`,
            },
          ]
        : [];
    },
  },
  {
    id: "split-is-not-sticky",
    severity: "info",
    reason: "two versions of the model may answer the same conversation in turns",
    check: ({ spec }) => {
      const live = (spec?.variants ?? []).filter(({ weight }) => weight > 0);
      return live.length > 1 && !spec?.canary && !spec?.resilience?.balance?.hash
        ? [
            {
              path: "spec.canary",
              message: "users may change variant with each request: add canary.stickyBy",
            },
          ]
        : [];
    },
  },
  {
    id: "sticky-by-address",
    severity: "warning",
    reason: "all users behind one proxy or NAT have the same address and would move together",
    check: ({ spec }) =>
      spec?.canary?.stickyBy[0]?.source.case === "sourceIp"
        ? [
            {
              path: "spec.canary.stickyBy[0]",
              message: "sourceIp comes first: put a header or apiKey before it",
            },
          ]
        : [],
  },
  {
    id: "mirror-doubles-load",
    severity: "warning",
    reason: "a mirrored completion costs as much GPU time as the answered one",
    check: ({ spec }) =>
      spec?.shadow && spec.shadow.mode !== "divert" && spec.shadow.percent === 100
        ? [
            {
              path: "spec.shadow.percent",
              message: `percent 100 copies every ${spec.shadow.match.length > 0 ? "matching " : ""}request: the shadow variant needs as many GPUs as all others together`,
            },
          ]
        : [],
  },
  {
    id: "drill-is-on",
    severity: "warning",
    reason: "injected faults are meant only for the time of a drill",
    check: ({ spec }) =>
      spec?.fault
        ? [
            {
              path: "spec.fault",
              message:
                "spec.fault is set: requests are delayed or refused on purpose; remove it after the drill",
            },
          ]
        : [],
  },
  {
    id: "identity-by-header",
    severity: "info",
    reason:
      "a client that can set the header can pose as any tenant: the edge must remove or verify it",
    check: ({ spec }) => {
      const identity = spec?.rateLimit?.identity ?? [];
      return identity.length > 0 && identity.every(({ source }) => source.case === "header")
        ? [{ path: "spec.rateLimit.identity", message: "tenants are identified only by headers" }]
        : [];
    },
  },
  {
    id: "later-hop-cleans",
    severity: "info",
    reason:
      "filters remove control headers that they did not set: headers that an earlier hop set for the pods are lost at a later hop",
    check: ({ spec }) =>
      (spec?.alsoAttach ?? []).flatMap((attach, index) => {
        const lost = [
          spec?.shadow && attach.filters.length > 0 && !attach.filters.includes("shadow")
            ? shadowHeaders(spec).join(" and ")
            : "",
          spec?.rateLimit?.forward &&
          attach.filters.length > 0 &&
          !attach.filters.includes("rateLimit")
            ? "x-weir-tenant and x-weir-tier"
            : "",
        ].filter((text) => text !== "");
        return lost.length > 0
          ? [
              {
                path: `spec.alsoAttach[${index}].filters`,
                message: `${lost.join(", ")} do not reach the pods through these proxies`,
              },
            ]
          : [];
      }),
  },
];
