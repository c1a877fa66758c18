import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { type Constraint, limit } from "../../gen/weir/v1/constraints_pb.ts";

/** A JSON Schema (draft 2020-12) node. */
export type JsonSchema = { [keyword: string]: unknown };

/** The comments of fields in the protos, by the fields' full names. */
type FieldComments = Readonly<Record<string, string>>;

const durationSchema: JsonSchema = {
  type: "string",
  pattern: "^[0-9]{1,9}(\\.[0-9]{1,9})?s$",
  expects: 'a duration in seconds such as "600s" or "0.25s"',
};

const timestampSchema: JsonSchema = {
  type: "string",
  pattern:
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$",
  expects: 'a time such as "2030-01-31T12:00:00Z"',
};

/**
 * JSON Schema of a message in its proto JSON form: closed objects, with the
 * limits of the `limit` option. The keyword `expects` carries what the field wants
 * in words, for error messages.
 *
 * @param comments become descriptions; a check of documents goes without them
 */
export function schemaOf(message: DescMessage, comments: FieldComments = {}): JsonSchema {
  if (message.typeName === DurationSchema.typeName) return durationSchema;
  if (message.typeName === TimestampSchema.typeName) return timestampSchema;
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const field of message.fields) {
    const constraint = hasOption(field, limit) ? getOption(field, limit) : undefined;
    const description = comments[`${message.typeName}.${field.name}`];
    properties[field.jsonName] = {
      ...withLimits(field, schemaOfField(field, comments), constraint),
      ...(description === undefined ? {} : { description }),
    };
    if (constraint?.required) required.push(field.jsonName);
  }
  const exclusive = message.oneofs.filter((oneof) => oneof.fields.length > 1);
  return {
    type: "object",
    properties,
    additionalProperties: false,
    ...(required.length > 0 ? { required } : {}),
    ...(exclusive.length > 0
      ? { oneMember: exclusive.flatMap((oneof) => oneof.fields.map((field) => field.jsonName)) }
      : {}),
  };
}

function schemaOfField(field: DescField, comments: FieldComments): JsonSchema {
  switch (field.fieldKind) {
    case "message":
      return schemaOf(field.message, comments);
    case "list":
      return {
        type: "array",
        items:
          field.listKind === "message" ? schemaOf(field.message, comments) : scalar(field.scalar),
      };
    case "map":
      return {
        type: "object",
        additionalProperties:
          field.mapKind === "message" ? schemaOf(field.message, comments) : scalar(field.scalar),
      };
    case "enum":
      return { enum: field.enum.values.map((value) => value.name) };
    case "scalar":
      return scalar(field.scalar);
  }
}

function scalar(type: ScalarType | undefined): JsonSchema {
  switch (type) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: "number" };
    case ScalarType.UINT32:
      return { type: "integer", minimum: 0, maximum: 4294967295 };
    case ScalarType.UINT64:
      // proto JSON writes 64-bit numbers as strings; people write numbers.
      return { type: ["integer", "string"], minimum: 0, pattern: "^[0-9]{1,15}$" };
    default:
      return { type: "string" };
  }
}

function withLimits(
  field: DescField,
  schema: JsonSchema,
  limits: Constraint | undefined,
): JsonSchema {
  if (limits === undefined) return schema;
  const value: JsonSchema = {};
  if (limits.pattern !== "") value.pattern = `^(?:${limits.pattern})$`;
  if (limits.maxLength !== undefined) value.maxLength = limits.maxLength;
  if (limits.in.length > 0) value.enum = limits.in;
  if (limits.min !== undefined) value.minimum = limits.min;
  if (limits.max !== undefined) value.maximum = limits.max;
  if (limits.multipleOf !== undefined) value.decimals = limits.multipleOf;
  if (limits.expects !== "") value.expects = limits.expects;
  if (limits.required && field.fieldKind === "scalar" && field.scalar === ScalarType.STRING)
    value.minLength = 1;
  if (field.fieldKind === "list") {
    return {
      ...schema,
      items: { ...(schema.items as JsonSchema), ...value },
      ...(limits.maxItems !== undefined ? { maxItems: limits.maxItems } : {}),
      ...(limits.required ? { minItems: 1 } : {}),
    };
  }
  if (field.fieldKind === "map") {
    return {
      ...schema,
      propertyNames: { type: "string", minLength: 1, ...value },
      ...(limits.maxItems !== undefined ? { maxProperties: limits.maxItems } : {}),
      ...(limits.required ? { minProperties: 1 } : {}),
    };
  }
  return { ...schema, ...value };
}
