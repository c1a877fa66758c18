import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type ReportRequest, ReportRequestSchema } from "../../gen/weir/v1/report_pb.ts";
import { errorText } from "../../text/error-text.ts";
import type { ReplayFrame } from "./simulate.ts";
import { createSynthetic, faults, goodProfile, seededRandom, tenantFaults } from "./synthetic.ts";

/** A line of a recording that cannot be read. */
export class ReplayError extends Error {
  override name = "ReplayError";
}

/**
 * Reads recorded reports: JSON lines of {"at": milliseconds or an RFC 3339 time,
 * "report": ReportRequest}, as `weir serve --record` writes them.
 * Lines of the same moment are played together; a clock that went back stands still.
 * @throws ReplayError that names the line
 */
export function readReplay(text: string): ReplayFrame[] {
  const frames: { atMs: number; reports: ReportRequest[] }[] = [];
  let firstMs: number | undefined;
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    const { at, report } = readLine(line, i + 1);
    firstMs ??= at;
    const last = frames.at(-1);
    const atMs = Math.max(last?.atMs ?? 0, at - firstMs);
    if (last?.atMs === atMs) last.reports.push(report);
    else frames.push({ atMs, reports: [report] });
  });
  if (frames.length === 0) throw new ReplayError("the recording has no reports");
  return frames;
}

function readLine(line: string, number: number): { at: number; report: ReportRequest } {
  let value: { at?: unknown; report?: unknown };
  try {
    value = JSON.parse(line);
  } catch {
    throw new ReplayError(`line ${number} is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ReplayError(`line ${number} must be an object with at and report`);
  const { at: given, report } = value;
  const at = typeof given === "string" ? Date.parse(given) : given;
  if (typeof at !== "number" || !Number.isFinite(at))
    throw new ReplayError(`line ${number}: at must be milliseconds or a time, not ${show(given)}`);
  try {
    return { at, report: fromJson(ReportRequestSchema, report as JsonValue) };
  } catch (error) {
    const why = errorText(error);
    throw new ReplayError(`line ${number}: cannot read report: ${why}`);
  }
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 64);
}

export interface MadeUp {
  /** "namespace/name". */
  route: string;
  stable: string;
  canary: string;
  /** What is wrong with the canary: one of faultNames. */
  fault: string;
  perSecond: number;
  seconds: number;
  seed: number;
}

/** Made-up traffic, one frame a second, that follows the canary's weight. */
export function madeUpFrames({
  route,
  stable,
  canary,
  fault,
  perSecond,
  seconds,
  seed,
}: MadeUp): (canaryPercent: number, pins: readonly string[]) => ReplayFrame | undefined {
  const random = seededRandom(seed);
  const synthetic = createSynthetic({
    node: "made-up",
    route,
    stable,
    canary,
    stableProfile: goodProfile,
    canaryProfile: { ...goodProfile, ...faults[fault] },
    random,
    epoch: "1",
    tenants: tenantFaults[fault] ?? [],
  });
  let second = 0;
  return (canaryPercent, pins) => {
    if (second >= seconds) return undefined;
    second++;
    synthetic.answer(perSecond, canaryPercent, pins);
    return { atMs: second * 1000, reports: [synthetic.report(second * 1000, "made-up")] };
  };
}
