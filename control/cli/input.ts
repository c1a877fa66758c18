import { readFileSync, statSync } from "node:fs";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { type Problem, parseRoutes, validateAll } from "../route/index.ts";
import { FailedError, UsageError } from "./exit.ts";

const mostBytes = 1 << 20;

/** Text of a file, or of standard input for "-". @throws UsageError that names the file and what is wrong with it */
export function readInput(file: string, most = mostBytes): string {
  try {
    if (file !== "-" && !statSync(file).isFile()) throw new UsageError(`${file} is not a file`);
    if (file !== "-" && statSync(file).size > most)
      throw new UsageError(`${file} has ${statSync(file).size} bytes: at most ${most} are allowed`);
    const bytes = readFileSync(file === "-" ? 0 : file);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.includes("\0")) throw new UsageError(`${name(file)} is not a text file`);
    if (text.trim() === "") throw new UsageError(`${name(file)} is empty`);
    return text;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (error instanceof TypeError) throw new UsageError(`${name(file)} is not a text file`);
    throw new UsageError(`cannot read ${name(file)}: ${reason(error)}`);
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
export function checkFiles(files: readonly string[]): {
  routes: InferenceRoute[];
  problems: FileProblem[];
} {
  const routes: InferenceRoute[] = [];
  const problems: FileProblem[] = [];
  for (const file of files) {
    const parsed = parseRoutes(readInput(file));
    routes.push(...parsed.routes);
    problems.push(...parsed.problems.map((each) => ({ ...each, file: name(file) })));
  }
  if (problems.length === 0 && files.length > 1)
    problems.push(
      ...validateAll(routes).map((each) => ({ ...each, file: files.map(name).join(", ") })),
    );
  return { routes, problems };
}

export function problemLine({ file, code, path, message }: FileProblem): string {
  return `${file}: ${path ? `${path}: ` : ""}${message} [${code}]`;
}

function name(file: string): string {
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
