import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { createProgress } from "../../control/cli/progress.ts";
import { weir } from "../e2e/weir-up.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

it("weir load says on standard error how far it is, a line a second, and the report alone on the output", async () => {
  let asked = 0;
  const fake = createServer((req, res) => {
    req.resume();
    res.writeHead(asked++ % 10 === 0 ? 429 : 200).end("{}");
  });
  server = fake;
  await new Promise<void>((resolve) => fake.listen(0, "127.0.0.1", resolve));
  const { code, stdout, stderr } = await weir([
    ...["load", `http://127.0.0.1:${(fake.address() as AddressInfo).port}`],
    ...["--host", "chat.example.com", "--stages", "20:1200ms,40:1200ms,60:1200ms"],
    ...["--streams", "0"],
  ]);
  expect([code, asked > 50]).toEqual([0, true]);
  const lines = stderr.trimEnd().split("\n");
  const form =
    /^stage ([123])\/3, (\d+) of 4 s: (\d+) sent, (\d+) open, (\d+) refused, 0 failed, p99 (?:-|\d+(?:\.\d)? ms)$/;
  const told = lines.map((line) => form.exec(line)?.slice(1, 6).map(Number) ?? [line]);
  expect(told.flat().every((each) => typeof each === "number")).toBe(true);
  // Of 3.6 s: three, unless the machine was too busy for one of them.
  expect(told.length).toBeGreaterThanOrEqual(2);
  for (const column of [0, 1, 2, 4]) {
    const values = told.map((each) => each[column] as number);
    expect(values.toSorted((a, b) => a - b)).toEqual(values);
  }
  expect(stdout).toMatch(/^STAGE +OFFERED\/S +SENT/);
  expect(stdout).not.toContain(" sent, ");
});

it.each([
  [undefined, "one\ntwo\n"],
  [10, "\r\x1b[Kone\r\x1b[Kmuch too \r\x1b[K"],
])(
  "progress is a line each time, and on a terminal (of %s columns) one line in place",
  (columns, expected) => {
    let written = "";
    const stream = {
      isTTY: columns !== undefined,
      columns,
      write(text: string) {
        written += text;
        return true;
      },
    } as NodeJS.WriteStream;
    const progress = createProgress(stream);
    progress.show("one");
    progress.show(columns === undefined ? "two" : "much too long");
    progress.end();
    progress.end();
    expect(written).toBe(expected);
  },
);
