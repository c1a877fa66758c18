import type { RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";
import { isForPlainEnvoys } from "../register.ts";
import { checkDuplicates } from "./duplicates.ts";

/** Checks what takes over when a variant's pods cannot be reached. */
export function checkFallback(spec: RouteSpec, report: Report): void {
  const { shadow, variants } = spec;
  variants.forEach((variant, index) => {
    const path = `spec.variants[${index}]`;
    if (variant.name === shadow?.variant) checkShadow(variant, path, report);
    checkDuplicates(
      variant.fallback,
      `${path}.fallback`,
      { code: "duplicate-fallback", noun: "fallback" },
      report,
    );
    variant.fallback.forEach((name, at) => {
      checkName(name, variant, `${path}.fallback[${at}]`, spec, report);
    });
  });
  checkCircles(variants, report);
}

/** Copies are never sent again, and what shadow traffic may cost ends at its own pods. */
function checkShadow({ fallback, fallbackEndpoints, name }: Variant, path: string, report: Report) {
  for (const [field, list] of Object.entries({ fallback, fallbackEndpoints }))
    if (list.length > 0)
      report(
        "fallback-of-shadow",
        `${path}.${field}`,
        `variant ${name} receives only shadow traffic, which goes to no other pods: leave ${field} out`,
      );
}

function checkName(
  name: string,
  variant: Variant,
  path: string,
  { shadow, variants }: RouteSpec,
  report: Report,
): void {
  const target = variants.find((each) => each.name === name);
  if (target === undefined)
    report(
      "unknown-variant",
      path,
      `variant "${name}" is not one of ${variants.map((each) => each.name).join(", ")}`,
    );
  else if (name === variant.name)
    report("fallback-to-itself", path, `variant ${name} cannot take over from itself`);
  else if (name === shadow?.variant)
    report(
      "fallback-to-shadow",
      path,
      `variant ${name} receives only shadow traffic: users of ${variant.name} need another fallback`,
    );
  else if (!isForPlainEnvoys(target))
    report(
      "fallback-without-endpoints",
      path,
      `variant ${name} has no endpoints, so plain Envoys cannot send users of ${variant.name} there: list its pods in endpoints, or let them register`,
    );
}

/** No request goes round in one, but the load does: what one variant sheds breaks the other, and back. */
function checkCircles(variants: readonly Variant[], report: Report): void {
  const known = new Set<string>();
  variants.forEach(({ fallback, name }, index) => {
    const circle = fallback.includes(name) || known.has(name) ? [] : circleOf(name, variants);
    for (const each of circle) known.add(each);
    if (circle.length > 0)
      report(
        "fallback-circle",
        `spec.variants[${index}].fallback`,
        `fallbacks go in a circle: ${[...circle, name].join(" to ")}; the load of a variant that fails would come back to it`,
      );
  });
}

/** The shortest way of fallbacks from a variant back to itself; empty where there is none. */
function circleOf(start: string, variants: readonly Variant[]): string[] {
  const ways: string[][] = [[start]];
  const seen = new Set<string>();
  for (let way = ways.shift(); way !== undefined; way = ways.shift())
    for (const next of variants.find(({ name }) => name === way?.at(-1))?.fallback ?? []) {
      if (next === start) return way;
      if (!seen.has(next)) ways.push([...way, next]);
      seen.add(next);
    }
  return [];
}
