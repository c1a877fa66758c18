import { spawnSync } from "node:child_process";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { addCompletion } from "../../control/cli/commands/completion.ts";
import { createProgram } from "../../control/cli/program.ts";
import { similarTo } from "../../control/cli/similar.ts";

const program = createProgram("0.0.0");
await addCompletion(program, []);

/** Each command with the words that call it, those below others too. */
function commandsOf(command: Command, words: readonly string[] = []): [string, Command][] {
  return command.commands
    .filter((each) => !["help", "complete"].includes(each.name()))
    .flatMap((each) => {
      const own = [...words, each.name()];
      return [[own.join(" "), each] as [string, Command], ...commandsOf(each, own)];
    });
}

const commands = commandsOf(program);

/** What it says with --help, examples included. */
function helpOf(command: Command): string {
  let text = "";
  const writeOut = (part: string) => {
    text += part;
  };
  command.configureOutput({ writeOut }).outputHelp();
  return text;
}

it.each(commands)("weir %s has a summary and examples that call it", (words, command) => {
  expect(command.summary()).toMatch(/^[a-z]/);
  const [, examples = ""] = helpOf(command).split(/^Examples?:$/m);
  expect(examples).toContain(`weir ${words}`);
  // An example that names a flag names one that is there.
  const flags = [...examples.matchAll(/(?<=\s)--[a-z-]+/g)].map(([flag]) => flag);
  const known = commands.flatMap(([, each]) => each.options.map(({ long }) => long));
  expect(flags.filter((flag) => !known.includes(flag))).toEqual([]);
});

it("whatever lists or shows what changes by itself can be watched, and read by programs", () => {
  const shows = ["get", "status", "proxies", "pods", "audit", "rollout list"];
  for (const [words, command] of commands.filter(([words]) => shows.includes(words))) {
    const flags = command.options.map(({ short, long }) => `${short} ${long}`);
    expect(flags, words).toEqual(expect.arrayContaining(["-w --watch", "-o --output"]));
  }
});

it.each([
  ["chta", ["chat"]],
  ["caht", ["chat"]],
  ["chatt", ["chat", "chats"]],
  ["embeddings", ["embedding"]],
  ["nothing-like-it", []],
  // Two letters of three are no typo.
  ["axx", []],
])("%s may have been %j", (word, meant) => {
  expect(similarTo(word, ["chat", "chats", "embedding", "abc"]).sort()).toEqual(meant.sort());
});

it.each([
  [["rollout", "strat"], "(Did you mean start?)"],
  [["rollout", "watch", "--onec", "chat"], "(Did you mean --once?)"],
  [["filters", "psuh"], "(Did you mean push?)"],
])("%j is told what it may have meant", (args, words) => {
  const { status, stderr } = spawnSync(process.execPath, ["dist/control/main.js", ...args], {
    encoding: "utf8",
  });
  expect(stderr).toContain(words);
  expect(status).toBe(2);
});
