import type { KeySource, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { controlHeaders } from "../control-headers.ts";
import type { Problem } from "../problem.ts";

/** Maximum number of sources that the filters read from one list. */
const maxSources = 8;
const maxIdleSeconds = 7 * 24 * 60 * 60;

/** Checks the assignment of users: pins, holds, conversations, and keys that need an identity. */
export function stickinessProblems(spec: RouteSpec): Problem[] {
  return [
    ...tenantSourceProblems(spec),
    ...pinProblems(spec),
    ...holdProblems(spec),
    ...conversationProblems(spec.canary?.conversations),
  ];
}

function tenantSourceProblems({ canary, rateLimit }: RouteSpec): Problem[] {
  const isTenant = ({ source }: KeySource) => source.case === "tenant";
  const problems: Problem[] = (rateLimit?.identity ?? []).flatMap((source, index) =>
    isTenant(source)
      ? [
          {
            code: "circular",
            path: `spec.rateLimit.identity[${index}].tenant`,
            message:
              "rateLimit.identity determines the tenant, so it cannot use the tenant: use header, apiKey, sourceIp or san",
          },
        ]
      : [],
  );
  const index = canary?.stickyBy.findIndex(isTenant) ?? -1;
  if (index >= 0 && rateLimit === undefined)
    problems.push(needsIdentity(`canary.stickyBy[${index}] uses the tenant`));
  const sources = canary?.stickyBy.flatMap((each) => (isTenant(each) ? rateLimit?.identity : each));
  if (sources !== undefined && sources.length > maxSources)
    problems.push({
      code: "too-many",
      path: "spec.canary.stickyBy",
      message: `stickyBy has ${sources.length} sources, including those of rateLimit.identity: at most ${maxSources} are allowed`,
    });
  return problems;
}

function pinProblems({ canary, rateLimit, variants, shadow }: RouteSpec): Problem[] {
  const pins = Object.entries(canary?.pin ?? {});
  const names = variants.map(({ name }) => name).filter((name) => name !== shadow?.variant);
  const unknown = pins
    .filter(([, variant]) => !names.includes(variant))
    .map(([tenant, variant]) => ({
      code: "unknown-variant",
      path: `spec.canary.pin.${tenant}`,
      message: `variant "${variant}" is not one of ${names.join(", ")}`,
    }));
  if (pins.length === 0 || rateLimit !== undefined) return unknown;
  return [...unknown, needsIdentity("canary.pin names tenants")];
}

function holdProblems({ canary, rateLimit, variants, shadow }: RouteSpec): Problem[] {
  const hold = canary?.hold;
  if (hold === undefined) return [];
  if (rateLimit === undefined) return [needsIdentity("canary.hold names tiers")];
  const tiers = Object.keys(rateLimit.tiers);
  const names = variants.map(({ name }) => name).filter((name) => name !== shadow?.variant);
  const problems: Problem[] = hold.tiers.flatMap((tier, index) =>
    tiers.includes(tier)
      ? []
      : [
          {
            code: "unknown-tier",
            path: `spec.canary.hold.tiers[${index}]`,
            message: `tier "${tier}" is not one of ${tiers.join(", ")}`,
          },
        ],
  );
  if (!names.includes(hold.variant))
    problems.push({
      code: "unknown-variant",
      path: "spec.canary.hold.variant",
      message: `variant "${hold.variant}" is not one of ${names.join(", ")}`,
    });
  return problems;
}

function needsIdentity(why: string): Problem {
  return {
    code: "missing-field",
    path: "spec.rateLimit",
    message: `${why}: set rateLimit.identity, which identifies tenants`,
  };
}

type Conversations = NonNullable<NonNullable<RouteSpec["canary"]>["conversations"]>;

function conversationProblems(conversations: Conversations | undefined): Problem[] {
  if (conversations === undefined) return [];
  const path = "spec.canary.conversations";
  const { header, idle } = conversations;
  const problems: Problem[] = [];
  if (controlHeaders.includes(header))
    problems.push({
      code: "control-header",
      path: `${path}.header`,
      message: `header ${header} is set by weir and cannot name a conversation: use another header`,
    });
  const seconds = Number(idle?.seconds ?? 1n);
  if (seconds < 1 || seconds > maxIdleSeconds || (idle?.nanos ?? 0) !== 0)
    problems.push({
      code: "out-of-range",
      path: `${path}.idle`,
      message: `idle must be whole seconds from 1s to ${maxIdleSeconds}s`,
    });
  return problems;
}
