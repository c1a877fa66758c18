import { bucketCount, defaultModeHeader, defaultTagHeader } from "../route/index.ts";
import type { Rule } from "./structural.ts";

const sources = (list: string) =>
  `${list}.all(s, (!has(s.apiKey) || s.apiKey) && (!has(s.sourceIp) || s.sourceIp) && (!has(s.header) || !s.header.startsWith('x-weir-')))`;

/** A variant whose pods plain Envoys get. */
const forPlainEnvoys =
  "(has(v.endpoints) && size(v.endpoints) > 0) || (has(v.register) && v.register)";

/** Others answer for it as long as it has no pods. */
const mayBeEmpty = "has(v.fallback) && size(v.fallback) > 0";

/**
 * What must hold between the fields of a spec, as the API server checks it:
 * the rules of control/route/validate that CEL can say within its budget. By
 * the path of the object they are about, below spec; "" is the spec itself.
 */
export const specRules: Record<string, Rule[]> = {
  "": [
    {
      rule: `self.variants.map(v, has(v.weight) ? int(v.weight * 100.0 + 0.5) : 0).sum() == ${bucketCount}`,
      message: "weights must sum to exactly 100",
      fieldPath: ".variants",
    },
    {
      rule: `self.variants.all(v, ${forPlainEnvoys} || ${mayBeEmpty}) || self.variants.all(v, !(${forPlainEnvoys}))`,
      message:
        "some variants have endpoints and others have none: set endpoints or register for all variants or for none, or their fallback",
      fieldPath: ".variants",
    },
    {
      rule: `has(self.service) || self.variants.all(v, ${forPlainEnvoys} || ${mayBeEmpty})`,
      message: "service is required when a variant has no endpoints and no register",
      fieldPath: ".service",
    },
    {
      rule: "!has(self.canary) || !has(self.canary.force) || has(self.rateLimit)",
      message: "canary.force.from names tenants: set rateLimit.identity, which identifies tenants",
    },
    {
      rule: "!has(self.shadow) || !has(self.shadow.from) || size(self.shadow.from) == 0 || has(self.rateLimit)",
      message: "shadow.from names tenants: set rateLimit.identity, which identifies tenants",
    },
    {
      rule: "!has(self.shadow) || self.variants.exists(v, v.name == self.shadow.variant)",
      message: "shadow.variant is not one of the variants",
      fieldPath: ".shadow.variant",
    },
    {
      rule: "!has(self.shadow) || self.variants.all(v, v.name != self.shadow.variant || !has(v.weight) || v.weight == 0.0)",
      message: "shadow.variant receives only shadow traffic: its weight must be 0",
      fieldPath: ".shadow.variant",
    },
  ],
  attach: [
    {
      rule: "(has(self.selector) && size(self.selector) > 0) != (has(self.targetRefs) && size(self.targetRefs) > 0)",
      message: "attach must have exactly one of selector, targetRefs",
    },
  ],
  rateLimit: [
    {
      rule: "self.default in self.tiers",
      message: "default is not one of the tiers",
      fieldPath: ".default",
    },
    {
      rule: "!has(self.tenants) || self.tenants.all(name, self.tenants[name] in self.tiers)",
      message: "a tenant's tier is not one of the tiers",
      fieldPath: ".tenants",
    },
    {
      rule: "self.tiers.all(name, has(self.tiers[name].requestsPerSecond) != (has(self.tiers[name].forbidden) && self.tiers[name].forbidden))",
      message: "each tier must have either requestsPerSecond or forbidden",
      fieldPath: ".tiers",
    },
    { rule: sources("self.identity"), message: sourceMessage(), fieldPath: ".identity" },
  ],
  canary: [{ rule: sources("self.stickyBy"), message: sourceMessage(), fieldPath: ".stickyBy" }],
  "canary.force": [
    {
      rule: "!self.header.startsWith('x-weir-')",
      message: "a header that weir sets cannot be sent by clients: use another header",
      fieldPath: ".header",
    },
  ],
  shadow: [
    {
      rule: `(has(self.modeHeader) ? self.modeHeader : '${defaultModeHeader}') != (has(self.tagHeader) ? self.tagHeader : '${defaultTagHeader}')`,
      message: "modeHeader and tagHeader must differ",
      fieldPath: ".tagHeader",
    },
  ],
  "resilience.retries": [
    {
      rule: "(has(self.attempts) && self.attempts > 0) || (!has(self.perTryTimeout) && (!has(self.retryOn) || size(self.retryOn) == 0))",
      message: "perTryTimeout and retryOn have no effect with 0 attempts: leave them out",
    },
  ],
};

function sourceMessage(): string {
  return "a key source must be a header that weir does not set, or true";
}
