import { readFileSync, statSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { type RouteState, RouteStateSchema } from "../gen/weir/v1/service_pb.ts";
import { type KubernetesObject, readObjects } from "../objects/index.ts";
import { draftRoute, type Problem, parseRoutes, routeName, validateAll } from "../route/index.ts";
import { errorText } from "../text/error-text.ts";
import { FailedError, UsageError } from "./exit.ts";

/** Largest route document. */
const maxRouteBytes = 1 << 20;
/** Largest listing of a cluster. */
const maxClusterBytes = 256 << 20;

/** Text of a file of at most `maxBytes`, or of standard input for "-". @throws UsageError that names the file and what is wrong with it */
export function readInput(file: string, maxBytes = maxRouteBytes): string {
  try {
    if (file !== "-" && !statSync(file).isFile()) throw new UsageError(`${file} is not a file`);
    if (file !== "-" && statSync(file).size > maxBytes)
      throw new UsageError(
        `${file} has ${statSync(file).size} bytes: at most ${maxBytes} are allowed`,
      );
    const bytes = readFileSync(file === "-" ? 0 : file);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.includes("\0")) throw new UsageError(`${fileName(file)} is not a text file`);
    if (text.trim() === "") throw new UsageError(`${fileName(file)} is empty`);
    return text;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (error instanceof TypeError) throw new UsageError(`${fileName(file)} is not a text file`);
    throw new UsageError(`cannot read ${fileName(file)}: ${reason(error)}`);
  }
}

/** Whether a file has route documents rather than other objects. Standard input never has. */
export function isRouteFile(file: string): boolean {
  return (
    file !== "-" && /^\s*"?kind"?:\s*"?InferenceRoute"?/m.test(readInput(file, maxClusterBytes))
  );
}

/** The routes of some files as they would be stored first, by "namespace/name". */
export function readStates(files: readonly string[]): Map<string, RouteState> {
  return new Map(
    readRoutes(files).map((route) => [
      routeName(route),
      create(RouteStateSchema, draftRoute(route, undefined)),
    ]),
  );
}

/** The Kubernetes objects that a file lists. @throws UsageError that names the file and what is wrong with it */
export function readObjectsFile(file: string): KubernetesObject[] {
  const text = readInput(file, maxClusterBytes);
  try {
    return readObjects(text);
  } catch (error) {
    const why = errorText(error);
    throw new UsageError(`${fileName(file)} lists no Kubernetes objects: ${why}`);
  }
}

/** The routes of some files, checked one by one and together. @throws FailedError with a line per problem */
export function readRoutes(files: readonly string[]): InferenceRoute[] {
  const { routes, problems } = checkFiles(files);
  if (problems.length > 0) throw new FailedError(problems.map(problemLine).join("\n"));
  return routes;
}

export interface FileProblem extends Problem {
  file: string;
}

/** The routes of some files and all that is wrong with them. */
function checkFiles(files: readonly string[]): {
  routes: InferenceRoute[];
  problems: FileProblem[];
} {
  const routes: InferenceRoute[] = [];
  const problems: FileProblem[] = [];
  for (const file of files) {
    const parsed = parseRoutes(readInput(file));
    routes.push(...parsed.routes);
    problems.push(...parsed.problems.map((each) => ({ ...each, file: fileName(file) })));
  }
  if (problems.length === 0 && files.length > 1)
    problems.push(
      ...validateAll(routes).map((each) => ({ ...each, file: files.map(fileName).join(", ") })),
    );
  return { routes, problems };
}

export function problemLine({ file, code, path, message }: FileProblem): string {
  return `${file}: ${path ? `${path}: ` : ""}${message} [${code}]`;
}

/** What to call an input in a message. */
export function fileName(file: string): string {
  return file === "-" ? "standard input" : file;
}

function reason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const known: Record<string, string> = {
    ENOENT: "there is no such file",
    EACCES: "permission denied",
    EISDIR: "it is a directory",
    EBADF: "it is closed",
    EAGAIN: "it has nothing to read",
  };
  return known[code ?? ""] ?? String(error);
}
