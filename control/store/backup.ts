import { createHash } from "node:crypto";
import { type DescMessage, fromJson, type MessageShape, toJson } from "@bufbuild/protobuf";
import { type RolloutState, RolloutStateSchema } from "../gen/weir/v1/rollout_pb.ts";
import {
  type AuditEntry,
  AuditEntrySchema,
  type RouteState,
  RouteStateSchema,
} from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import { errorText } from "../text/error-text.ts";
import type { Contents } from "./contents.ts";
import { type Store, StoreUnavailableError } from "./store.ts";

const version = 1;
const everything = 0x7fff_ffff;

/** Reads all of a store. Writes that happen meanwhile are in it or not, each as a whole. */
export async function readContents(store: Store): Promise<Contents> {
  for (;;) {
    const { routes, sequence } = await store.list();
    const rollouts = await store.listRollouts();
    const entries = (await store.audit("", everything)).reverse();
    // Read in pieces: only when nothing was written in between do they fit together.
    if ((await store.list()).sequence !== sequence) continue;
    return {
      routes: new Map(routes.map((state) => [routeName(state.route), state])),
      rollouts: new Map(rollouts.map((state) => [routeName(state.rollout), state])),
      entries,
      sequence,
    };
  }
}

/** A backup as text: a line of JSON for each thing, between a head and an end with a checksum. */
export function writeBackup({ routes, rollouts, entries, sequence }: Contents): string {
  const lines = [
    JSON.stringify({ weir: "backup", version }),
    ...entries.map((entry) => JSON.stringify({ entry: toJson(AuditEntrySchema, entry) })),
    ...[...routes].map(([name, state]) =>
      JSON.stringify({ name, route: toJson(RouteStateSchema, state) }),
    ),
    ...[...rollouts].map(([name, state]) =>
      JSON.stringify({ name, rollout: toJson(RolloutStateSchema, state) }),
    ),
  ];
  const end = { sequence: String(sequence), lines: lines.length, sha256: digest(lines) };
  return [...lines, JSON.stringify({ end }), ""].join("\n");
}

/** Reads a backup. @throws StoreUnavailableError when it is not whole or of a newer version */
export function readBackup(text: string): Contents {
  const lines = text.split("\n").filter((line) => line !== "");
  const head = parse(lines[0], 1);
  if (head.weir !== "backup")
    throw new StoreUnavailableError("this is not a backup: its first line is not a backup header");
  if (head.version !== version)
    throw new StoreUnavailableError(
      `the backup has version ${head.version}; this version of weir reads version ${version}`,
    );
  const last = lines.pop();
  const { end } = parse(last, lines.length + 1) as { end?: { sequence: string; sha256: string } };
  if (end === undefined)
    throw new StoreUnavailableError("the backup is cut off: its last line is missing");
  if (end.sha256 !== digest(lines))
    throw new StoreUnavailableError("the backup is damaged: its checksum does not match");
  const routes = new Map<string, RouteState>();
  const rollouts = new Map<string, RolloutState>();
  const entries: AuditEntry[] = [];
  for (const [i, line] of lines.entries()) {
    const item = parse(line, i + 1);
    if (item.entry) entries.push(read(AuditEntrySchema, item.entry, i + 1));
    if (item.route) routes.set(String(item.name), read(RouteStateSchema, item.route, i + 1));
    if (item.rollout)
      rollouts.set(String(item.name), read(RolloutStateSchema, item.rollout, i + 1));
  }
  return { routes, rollouts, entries, sequence: BigInt(end.sequence) };
}

function parse(line: string | undefined, number: number): Record<string, unknown> {
  try {
    return JSON.parse(line ?? "", (key, value) => (key === "verdicts" ? value.map(asNow) : value));
  } catch {
    throw new StoreUnavailableError(
      `line ${number} of the backup is not JSON: the file may be cut off`,
    );
  }
}

/** A verdict as it is named now: what is its message was `words` in version 0.1. */
function asNow({ words, ...verdict }: Record<string, unknown>): Record<string, unknown> {
  return words === undefined ? verdict : { ...verdict, message: words };
}

function read<Desc extends DescMessage>(
  schema: Desc,
  json: unknown,
  number: number,
): MessageShape<Desc> {
  try {
    return fromJson(schema, json as never);
  } catch (error) {
    throw new StoreUnavailableError(
      `line ${number} of the backup cannot be read: ${errorText(error)}`,
    );
  }
}

function digest(lines: readonly string[]): string {
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}
