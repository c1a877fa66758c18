import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { startQuietServer } from "../api/control-server.ts";
import { weir } from "../e2e/weir-up.ts";
import { without } from "../needs.ts";

let directory: string;
let server: ControlServer;
const env = () => ({
  ...process.env,
  PATH: `${directory}:${process.env.PATH}`,
  WEIR_SERVER: `127.0.0.1:${server.listen.port}`,
});

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-completion-"));
  symlinkSync(resolve("dist/control/main.js"), join(directory, "weir"));
  server = await startQuietServer();
  const at = `127.0.0.1:${server.listen.port}`;
  const { code } = await weir(["apply", "-f", "examples/canary/route.yaml", "--server", at]);
  expect(code).toBe(0);
});
afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

/** What bash offers after these words. */
async function offered(...words: string[]): Promise<string[]> {
  const script = join(directory, "ask.sh");
  const quoted = words.map((word) => `'${word}'`).join(" ");
  writeFileSync(
    script,
    `source <(weir completion bash)
COMP_WORDS=(weir ${quoted}); COMP_CWORD=${words.length}
COMP_LINE="weir ${words.join(" ")}"; COMP_POINT=\${#COMP_LINE}
# What only a bash that is asked by a key has.
compopt() { :; }
_get_comp_words_by_ref() { cur="\${COMP_WORDS[COMP_CWORD]}"; prev="\${COMP_WORDS[COMP_CWORD-1]}"; words=("\${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
$(complete -p weir | sed -E 's/.*-F ([^ ]+).*/\\1/')
printf '%s\\n' "\${COMPREPLY[@]}"`,
  );
  const { stdout, stderr } = await promisify(execFile)("bash", [script], { env: env() });
  expect(stderr).toBe("");
  return stdout.split("\n").filter(Boolean);
}

// Each word that is offered takes two processes of weir.
describe("completion in bash", { timeout: 240_000 }, () => {
  it("is read by bash", () => expectRead("bash"));
  it("offers commands, flags, their values, and the names that are stored", async () => {
    expect(await offered("sh")).toEqual(["shift"]);
    expect(await offered("render", "--tar")).toEqual(["--target"]);
    expect(await offered("render", "--target", "i")).toContain("istio");
    expect(await offered("status", "")).toEqual(["chat"]);
    expect(await offered("shift", "chat", "ca")).toEqual(["canary="]);
  });
});

/** What the completion of a shell is, the shell itself reads. */
async function expectRead(shell: string): Promise<void> {
  const { code, stdout } = await weir(["completion", shell]);
  expect(code).toBe(0);
  const file = join(directory, `completion.${shell}`);
  writeFileSync(file, stdout);
  const read = spawnSync(shell, ["-n", file], { encoding: "utf8" });
  expect(read.stderr).toBe("");
  expect(read.status).toBe(0);
}

describe.skipIf(without("fish"))("completion in fish", { timeout: 240_000 }, () => {
  it("is read by fish", () => expectRead("fish"));
  it.each([
    ["weir sh", /^shift\t/m],
    ["weir render --tar", /^--target/m],
    ["weir status ", /^chat\tchat\.example\.com/m],
  ])("after %s offers %s", async (line, offered) => {
    const script = `weir completion fish | source; complete -C "${line}"`;
    const { stdout } = await promisify(execFile)("fish", ["--no-config", "-c", script], {
      env: { ...env(), HOME: directory },
    });
    expect(stdout).toMatch(offered);
  });
});

describe.skipIf(without("zsh"))("completion in zsh", { timeout: 240_000 }, () => {
  it("is read by zsh", () => expectRead("zsh"));
  it.each([
    ["weir sh", "shift"],
    ["weir status ch", "chat"],
  ])("after %s completes to %s", async (line, word) => {
    // As a person does it: a shell of its own on a terminal, and the Tab key.
    const script = `
zmodload zsh/zpty
zpty shell 'zsh -f -i'
zpty -w shell 'PS1=; unsetopt beep; autoload -Uz compinit; compinit -u -D; source <(weir completion zsh); print READY'
zpty -r shell seen '*READY*READY*'
zpty -w -n shell '${line}'$'\\t'
zpty -r -m shell seen '*${line.slice(0, -2)}${word}*' && print -r -- FOUND
zpty -d shell`;
    const { stdout } = await promisify(execFile)("zsh", ["-f", "-c", script], {
      env: { ...env(), HOME: directory, TERM: "dumb" },
    });
    expect(stdout).toContain("FOUND");
  });
});

it("a shell that is unknown is named, with those that are known", async () => {
  const { code, stderr } = await weir(["completion", "tcsh"]);
  expect(code).toBe(2);
  expect(stderr).toContain("zsh, bash, fish");
});

it("completes without names when no control service answers", () => {
  const { stdout, status } = spawnSync("weir", ["complete", "--", "status", ""], {
    encoding: "utf8",
    env: { ...env(), WEIR_SERVER: "127.0.0.1:1" },
  });
  expect(status).toBe(0);
  expect(stdout).not.toContain("error");
});
