import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Rollout, RolloutSchema } from "../../gen/weir/v1/rollout_pb.ts";
import { checkStructure, type Problem, readDocuments } from "../../route/index.ts";
import { errorText } from "../../text/error-text.ts";

/** A rollout, or everything that is wrong with its document. */
export interface ParsedRollout {
  rollout?: Rollout;
  problems: Problem[];
}

/** Reads a YAML or JSON text with exactly one rollout and checks its shape. */
export function parseRolloutText(text: string): ParsedRollout {
  const { documents, problems } = readDocuments(text);
  if (problems.length > 0) return { problems };
  const [document, ...others] = documents;
  if (document === undefined || others.length > 0)
    return refused("one-document", `the file must have one rollout, not ${documents.length}`);
  try {
    return parseRollout(document.read());
  } catch (error) {
    return refused("yaml", errorText(error));
  }
}

/** Checks the shape of a rollout, given as plain JSON, and reads it. */
export function parseRollout(value: unknown): ParsedRollout {
  if (value === null || value === undefined) return refused("empty", "the document is empty");
  const problems = checkStructure(value, RolloutSchema);
  if (problems.length > 0) return { problems };
  try {
    return { rollout: fromJson(RolloutSchema, value as JsonValue), problems: [] };
  } catch (error) {
    return refused("bad-value", String(error).split("\n", 1)[0] ?? "");
  }
}

function refused(code: string, message: string): ParsedRollout {
  return { problems: [{ code, path: "", message }] };
}
