import { clone } from "@bufbuild/protobuf";
import { type InferenceRoute, InferenceRouteSchema } from "../gen/weir/v1/route_pb.ts";
import type { Problem } from "./problem.ts";
import { bucketCount, toBuckets, toPercent } from "./weights.ts";

/** Variants of a route, as proto/weir/v1/route.proto limits them. */
const maxVariants = 16;

/** A route with new weights, or why it cannot have them. */
export interface Shifted {
  route?: InferenceRoute;
  problems: Problem[];
}

/**
 * The route with the given weights (variant -> percent). Variants that are not
 * named share what is left in proportion to what they had; a variant for
 * shadow traffic stays at 0.
 */
export function shiftWeights(
  route: InferenceRoute,
  weights: Readonly<Record<string, number>>,
): Shifted {
  const variants = route.spec?.variants ?? [];
  const shadow = route.spec?.shadow?.variant;
  const count = Object.keys(weights).length;
  if (count > maxVariants)
    return {
      problems: [
        {
          code: "too-many",
          path: "weights",
          message: `weights must name at most ${maxVariants} variants, not ${count}`,
        },
      ],
    };
  const problems = Object.entries(weights).flatMap(([name, weight]) =>
    weightProblems(
      name,
      weight,
      variants.map((each) => each.name),
      shadow,
    ),
  );
  if (count === 0)
    problems.push({
      code: "missing-field",
      path: "weights",
      message: "weights must name at least one variant, e.g. canary=20",
    });
  if (problems.length > 0) return { problems };

  const named = Object.values(weights).reduce((sum, weight) => sum + toBuckets(weight), 0);
  const others = variants.filter(
    (each) => !Object.hasOwn(weights, each.name) && each.name !== shadow,
  );
  const left = bucketCount - named;
  if (left < 0 || (others.length === 0 && left !== 0))
    return {
      problems: [
        {
          code: "weights-sum",
          path: "weights",
          message: `weights must sum to exactly 100, not ${toPercent(named)}`,
        },
      ],
    };

  const shares = divide(
    left,
    others.map((each) => toBuckets(each.weight)),
  );
  const shifted = clone(InferenceRouteSchema, route);
  for (const variant of shifted.spec?.variants ?? []) {
    const given = weights[variant.name];
    // What is stored has two decimals, however near to them what was given is.
    if (given !== undefined) variant.weight = toPercent(toBuckets(given)) + 0;
    else if (variant.name !== shadow)
      variant.weight = toPercent(
        shares[others.findIndex((each) => each.name === variant.name)] ?? 0,
      );
  }
  return { route: shifted, problems: [] };
}

function weightProblems(
  name: string,
  weight: number,
  known: readonly string[],
  shadow: string | undefined,
): Problem[] {
  const path = `weights.${name}`;
  if (!known.includes(name))
    return [
      {
        code: "unknown-variant",
        path,
        message: `variant "${name}" is not one of ${known.join(", ")}`,
      },
    ];
  if (name === shadow && weight !== 0)
    return [
      {
        code: "shadow-weight",
        path,
        message: `variant ${name} receives only shadow traffic: its weight must stay 0`,
      },
    ];
  if (!Number.isFinite(weight) || weight < 0 || weight > 100)
    return [
      {
        code: "out-of-range",
        path,
        message: `weight of ${name} must be from 0 to 100, not ${weight}`,
      },
    ];
  if (Math.abs(weight * 100 - Math.round(weight * 100)) > 1e-7)
    return [
      {
        code: "too-precise",
        path,
        message: `weight of ${name} must have at most two decimals, not ${weight}`,
      },
    ];
  return [];
}

/** Divides a whole number in proportion, by largest remainder; evenly when there is no proportion. */
function divide(total: number, proportions: readonly number[]): number[] {
  const sum = proportions.reduce((all, each) => all + each, 0);
  const exact = proportions.map((each) =>
    sum > 0 ? (total * each) / sum : total / proportions.length,
  );
  const shares = exact.map(Math.floor);
  const missing = total - shares.reduce((all, each) => all + each, 0);
  const order = exact
    .map((value, index) => ({ index, rest: value - Math.floor(value) }))
    .sort((a, b) => b.rest - a.rest || a.index - b.index);
  for (const { index } of order.slice(0, missing)) shares[index] = (shares[index] ?? 0) + 1;
  return shares;
}
