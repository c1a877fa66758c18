import type { JsonSchema } from "../route/index.ts";

/**
 * A JSON Schema of Weir as Kubernetes' structural schema: objects are closed
 * there by strict field validation, what it has no keyword for is a CEL rule.
 */
export function structural(schema: JsonSchema): JsonSchema {
  const out: JsonSchema = {};
  const rules: Rule[] = [];
  const words: string[] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "description") words.unshift(String(value));
    else if (keyword === "properties")
      out.properties = Object.fromEntries(
        Object.entries(value as Record<string, JsonSchema>).map(([name, each]) => [
          name,
          structural(each),
        ]),
      );
    else if (keyword === "items") out.items = structural(value as JsonSchema);
    else if (keyword === "additionalProperties") {
      if (value !== false) out.additionalProperties = structural(value as JsonSchema);
    } else if (keyword === "type" && Array.isArray(value)) {
      // minimum is then about the number, pattern about the string.
      out["x-kubernetes-int-or-string"] = true;
    } else if (keyword === "propertyNames") rules.push(...nameRules(value as JsonSchema));
    else if (keyword === "decimals") rules.push(decimals(value as number));
    else if (keyword === "oneMember") rules.push(oneOf(value as string[]));
    else if (keyword === "expects") words.push(`Must be ${value}.`);
    else out[keyword] = value;
  }
  // An enum implies the type, but Kubernetes requires it.
  if (out.enum && out.type === undefined) out.type = "string";
  if (rules.length > 0) out["x-kubernetes-validations"] = rules;
  if (words.length > 0) out.description = words.join(" ");
  return out;
}

/** A CEL rule of a custom resource. */
export interface Rule {
  rule: string;
  message?: string;
  fieldPath?: string;
}

/** Map keys have no schema in Kubernetes, and their length no bound: only short rules are affordable. */
function nameRules(names: JsonSchema): Rule[] {
  const rules: Rule[] = [];
  if (names.minLength !== undefined)
    rules.push({ rule: "self.all(key, size(key) > 0)", message: "names must not be empty" });
  if (names.maxLength !== undefined)
    rules.push({
      rule: `self.all(key, size(key) <= ${names.maxLength})`,
      message: `names must have at most ${names.maxLength} characters`,
    });
  return rules;
}

/** Kubernetes' own multipleOf divides whole numbers by a step below 1 as if it were 0. */
function decimals(step: number): Rule {
  const whole = Math.round(1 / step).toFixed(1);
  const rest = `self * ${whole} - double(int(self * ${whole} + 0.5))`;
  return {
    rule: `${rest} < 0.0001 && ${rest} > -0.0001`,
    message: `must be a multiple of ${step}`,
  };
}

function oneOf(members: string[]): Rule {
  const present = members.map((name) => `has(self.${name})`).join(", ");
  return {
    rule: `[${present}].exists_one(each, each)`,
    message: `must have exactly one of ${members.join(", ")}`,
  };
}
