import type { JsonSchema } from "./schema.ts";

/**
 * A document whose lists and maps have one entry more than they may have, at the most: that is
 * enough to say that they are too long, and what stands behind it need not be looked at.
 */
export function withoutExcess(value: unknown, schema: JsonSchema): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { maxItems, maxProperties, items, properties, additionalProperties } = schema;
  if (Array.isArray(value)) {
    const kept = typeof maxItems === "number" ? value.slice(0, maxItems + 1) : value;
    return items ? kept.map((item) => withoutExcess(item, items as JsonSchema)) : kept;
  }
  const known = (properties ?? {}) as Record<string, JsonSchema>;
  const others = (additionalProperties || {}) as JsonSchema;
  const entries = Object.entries(value);
  const kept = typeof maxProperties === "number" ? entries.slice(0, maxProperties + 1) : entries;
  return Object.fromEntries(
    kept.map(([name, member]) => [
      name,
      withoutExcess(member, Object.hasOwn(known, name) ? (known[name] as JsonSchema) : others),
    ]),
  );
}
