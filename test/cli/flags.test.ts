import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { createProgram } from "../../control/cli/program.ts";

/** Every command with the words that call it. */
function commandsOf(command: Command, words: readonly string[] = []): [string, Command][] {
  return command.commands.flatMap((each) => {
    const own = [...words, each.name()];
    return [[own.join(" "), each] as [string, Command], ...commandsOf(each, own)];
  });
}

const commands = commandsOf(createProgram("0.0.0"));
const flagsOf = (command: Command) => command.options.flatMap(({ long }) => long ?? []);
const asking = commands.filter(([, command]) => flagsOf(command).includes("--server"));

/** What a text advises: flags that are written out in it. */
const advisedIn = (text: string) => [
  ...new Set([...text.matchAll(/(?<![\w-])--[a-z][a-z0-9-]+/g)].map(([flag]) => flag)),
];

it("knows the commands that ask a server, those below others among them", () => {
  expect(asking.map(([words]) => words)).toEqual(
    expect.arrayContaining(["get", "rollout start", "rollout pause", "rollout list", "drill"]),
  );
});

it.each(asking)("weir %s has every flag of a connection", (_words, command) => {
  const flags = ["--server", "--token-file", "--ca", "--cert", "--key"];
  expect(flagsOf(command)).toEqual(expect.arrayContaining(flags));
});

it.each(asking)("weir %s has every flag that errors of a connection advise", (_words, command) => {
  const advised = advisedIn(readFileSync("control/cli/client.ts", "utf8"));
  expect(advised).toEqual(expect.arrayContaining(["--server", "--ca"]));
  expect(advised.filter((flag) => !flagsOf(command).includes(flag))).toEqual([]);
});

/** Where words are made that a command shows or the service tells, and the commands whose flags they may name. */
const speakers: [RegExp, string[]][] = [
  [/^control\/cli\/(\w+)\.ts$/, []],
  [/^control\/(server|rollout)/, ["serve"]],
  [/^control\/(istio|lint)\//, ["render", "serve"]],
];

it.each(speakers)("words made in %s advise only flags that are there", (where, named) => {
  const files = readdirSync("control", { recursive: true, encoding: "utf8" })
    .map((file) => `control/${file}`)
    .filter((file) => where.test(file) && file.endsWith(".ts"));
  const known = (named.length > 0 ? commands.filter(([words]) => named.includes(words)) : commands)
    .flatMap(([, command]) => flagsOf(command))
    .concat("--help", "--version");
  const wrong = files.flatMap((file) => {
    const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    return advisedIn(code)
      .filter((flag) => !known.includes(flag))
      .map((flag) => `${file}: ${flag}`);
  });
  expect(wrong).toEqual([]);
});
