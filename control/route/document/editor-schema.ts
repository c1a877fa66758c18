import { comments } from "../../gen/weir/v1/comments.ts";
import { InferenceRouteSchema } from "../../gen/weir/v1/route_pb.ts";
import { type JsonSchema, schemaOf } from "./schema.ts";

/** Where the published schema is found in the package; editors are pointed there. */
const id = "https://weir.dev/schema/inference-route.schema.json";

/**
 * The route's JSON Schema (draft 2020-12) in standard keywords alone, for
 * editors and other programs. Metadata may have what Kubernetes adds.
 */
export function editorSchema(): JsonSchema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: id,
    title: "InferenceRoute",
    description:
      "One inference service: who may call it how often, which variants answer, and how the proxies in front of it behave.",
    ...standard(schemaOf(InferenceRouteSchema, comments)),
  };
}

/** Translates Weir's own keywords to ones that every validator knows. */
function standard(schema: JsonSchema): JsonSchema {
  const out: JsonSchema = {};
  const words: string[] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "description") words.unshift(String(value));
    else if (keyword === "expects") words.push(`Must be ${String(value)}.`);
    // 0.07 is no multiple of 0.01 to a validator that divides binary fractions.
    else if (keyword === "decimals") words.push("Two decimals at most.");
    else if (keyword === "oneMember")
      out.oneOf = (value as string[]).map((name) => ({ required: [name] }));
    else if (keyword === "properties")
      out.properties = Object.fromEntries(
        Object.entries(value as Record<string, JsonSchema>).map(([name, each]) => [
          name,
          standard(each),
        ]),
      );
    else out[keyword] = isSchema(value) ? standard(value) : value;
  }
  return words.length > 0 ? { ...out, description: words.join(" ") } : out;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
