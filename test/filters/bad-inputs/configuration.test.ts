import { describe, expect, it } from "vitest";
import { parseRoutes } from "../../../control/route/index.ts";
import { createSharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { exampleDocument } from "../../route/documents.ts";
import { refused } from "../document/refused-configs.ts";
import { compiled, configuredProxy, fullConfig, fullestConfig, requestHeaders } from "../module.ts";
import { ask, json, tokenConfig } from "../token-limit/token-streams.ts";

// Rows F1 to F16 of docs/bad-inputs.md: configurations that no one means.

const modules: [name: string, config: () => object][] = [
  ["weir", fullConfig],
  ["weir-full", fullestConfig],
  ["token-limit", tokenConfig],
];

/** What a module says to a configuration: undefined where it takes it. */
function answer(name: string, text: string | Buffer): string | undefined {
  const shared = createSharedState();
  const taken = startWorker(compiled(name), shared).configure(1, text);
  expect(shared.log).toHaveLength(taken ? 0 : 1);
  return taken ? undefined : (shared.log[0]?.message ?? "");
}
/** A document with one text replaced, for values that JSON.stringify does not write. */
const replaced = (config: object, from: string, to: string) => {
  const text = JSON.stringify(config);
  expect(text).toContain(from);
  return text.replace(from, to);
};
const limits = (tier: string) => replaced(fullConfig(), '"blocked":{}', `"blocked":${tier}`);
const rowsOf = (...names: string[]) =>
  refused.filter(([name]) => names.some((each) => name.includes(each)));

describe.each(modules)("%s.wasm", (name, config) => {
  it.each(["", " \r\n\t", "null", "[]", "7", '"x"'])(
    "F1 refuses %j with one line, and goes on as it was",
    (text) => {
      expect(answer(name, text)).toMatch(/^weir [a-z-]+: configuration refused: the document /);
      const { shared, workers } = configuredProxy(name, config());
      const [worker] = workers as [Worker];
      expect(worker.configure(2, text)).toBe(false);
      worker.remove(2);
      expect(shared.log).toHaveLength(1);
      expect(worker.request(requestHeaders()).reply).toBeUndefined();
    },
  );

  it("F1 takes the configuration that holds until one arrives", () => {
    expect(answer(name, '{"revision":"none"}')).toBeUndefined();
  });

  it("F2 refuses every document that breaks off, and traps on none that is damaged", () => {
    const text = Buffer.from(JSON.stringify(config()), "utf8");
    const worker = startWorker(compiled(name), createSharedState());
    for (let end = 0; end < text.length; end += 7)
      expect(worker.configure(1, text.subarray(0, end)), `${end} bytes`).toBe(false);
    let taken = 0;
    for (let at = 0; at < text.length; at += 5)
      for (const byte of [0x00, 0x22, 0x5c, 0x7b, 0xff]) {
        const damaged = Buffer.from(text);
        damaged[at] = byte;
        if (worker.configure(2, damaged)) taken++;
      }
    // Some damage only spells another name.
    expect(taken).toBeLessThan(text.length);
    expect(worker.configure(3, text)).toBe(true);
  });

  it("F3 refuses nesting beyond 32 levels, and of 10,000", () => {
    for (const depth of [33, 10_000]) {
      const nested = "[".repeat(depth) + "]".repeat(depth);
      expect(
        answer(name, `{"revision":"r","routes":[{"name":"n","hosts":["h"],"other":${nested}}]}`),
      ).toMatch(/unknown field|deeper than 32/);
      expect(answer(name, nested)).toContain("must be an object");
    }
  });

  it("F4 refuses what is over a megabyte soon, and keeps no memory of it", () => {
    const tenants = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, i) => [`tenant-${i}`, "t"]),
    );
    const text = JSON.stringify({
      revision: "r",
      routes: [{ name: "n", hosts: ["h"], rateLimit: { tenants } }],
    });
    expect(text.length).toBeGreaterThan(1 << 20);
    const shared = createSharedState();
    const worker = startWorker(compiled(name), shared);
    const times = Array.from({ length: 5 }, (_, i) => {
      const start = performance.now();
      expect(worker.configure(i + 1, text)).toBe(false);
      return performance.now() - start;
    });
    expect(shared.log[0]?.message).toContain("1048576 bytes");
    // The emulated host copies the text as well; the best time is the module's on a busy machine.
    expect(Math.min(...times)).toBeLessThan(50);
    const before = worker.memoryBytes();
    for (let i = 0; i < 10; i++) worker.configure(100 + i, text);
    expect(worker.memoryBytes()).toBe(before);
  });

  it("F5 refuses a name that is there twice", () => {
    expect(answer(name, '{"revision":"a","revision":"b"}')).toContain("revision is there twice");
  });

  it("F13 refuses a document that is for something else", () => {
    expect(answer(name, '{"rules":[{"match":"/"}]}')).toContain("rules is an unknown field");
    expect(answer(name, '{"kind":"InferenceRoute","spec":{}}')).toContain(
      "kind is an unknown field",
    );
  });

  it("F14 takes a byte order mark, and refuses UTF-16 and NUL", () => {
    const text = JSON.stringify(config());
    expect(answer(name, `\ufeff${text}`)).toBeUndefined();
    expect(answer(name, Buffer.from(text, "utf16le"))).toBeDefined();
    expect(answer(name, Buffer.from(`\ufeff${text}`, "utf16le"))).toBeDefined();
    expect(answer(name, `${text}\0`)).toContain("text after its end");
    expect(answer(name, `\0${text}`)).toBeDefined();
  });

  it("F15 holds no more memory after 1,000 configurations in a row", () => {
    const { workers } = configuredProxy(name, config());
    const [worker] = workers as [Worker];
    const replace = (root: number) => {
      expect(worker.configure(root, JSON.stringify({ ...config(), revision: `r${root}` }))).toBe(
        true,
      );
      worker.request(requestHeaders());
      worker.remove(root - 1);
    };
    for (let root = 2; root < 52; root++) replace(root);
    const before = worker.memoryBytes();
    for (let root = 52; root < 1052; root++) replace(root);
    expect(worker.memoryBytes()).toBe(before);
  });
});

it.each(rowsOf("unknown field", "unknown algorithm", "unknown kind"))(
  "F6 refuses %s",
  (_name, text, words) => {
    expect(answer("weir", text)).toContain(words);
  },
);

it("F7 takes names that mean something to JavaScript as plain data", () => {
  const config = fullConfig();
  const names = ["__proto__", "constructor", "toString"];
  const text = replaced(config, '"acme":"gold"', names.map((each) => `"${each}":"gold"`).join(","));
  const { workers } = configuredProxy("weir", JSON.parse(text));
  for (const name of names) {
    const { headers } = workers[0]?.request(requestHeaders({ "x-tenant-id": name })) ?? {
      headers: [],
    };
    expect(headers).toContainEqual(["x-weir-tier", "gold"]);
  }
});

describe("limits that are none", () => {
  it.each([
    "-1",
    "1e308",
    "NaN",
    '"10"',
    "9007199254740993",
    "1e7",
    "null",
    "true",
    "01",
    "+1",
    "Infinity",
  ])("F8 refuses a rate of %s", (value) =>
    expect(answer("weir", limits(`{"requestsPerSecond":${value}}`))).toContain("requestsPerSecond"),
  );
  it.each(["-1", "1e308", "NaN", "9007199254740993", "0.5"])(
    "F8 refuses a burst of %s",
    (value) => {
      expect(answer("weir", limits(`{"requestsPerSecond":1,"burst":${value}}`))).toContain("burst");
    },
  );
  it.each(["-1", "1e308", "NaN", "9007199254740993", "0.5"])(
    "F8 refuses %s tokens a minute",
    (value) => {
      const text = replaced(tokenConfig(), '"tokensPerMinute":"600"', `"tokensPerMinute":${value}`);
      expect(answer("token-limit", text)).toContain("tokensPerMinute");
    },
  );
  it("F8 takes 0 as none at all, and half a request a second", () => {
    for (const rate of [0, 0.5]) {
      const { workers } = configuredProxy(
        "weir",
        JSON.parse(limits(`{"requestsPerSecond":${rate}}`)),
      );
      const [worker] = workers as [Worker];
      const statuses = Array.from(
        { length: 4 },
        () => worker.request(requestHeaders({ "x-tenant-id": "banned" })).reply?.status ?? 200,
      );
      expect(statuses).toEqual([rate === 0 ? 429 : 200, 429, 429, 429]);
    }
  });

  it.each([
    [
      "reports",
      '"authority":"a"',
      ["0", "-1", "86400001"],
      (value: string) =>
        replaced(
          { revision: "r", report: { cluster: "c", authority: "a" } },
          '"authority":"a"',
          `"authority":"a","intervalMs":${value}`,
        ),
    ],
    [
      "conversations",
      "",
      ["0", "-1", "604801"],
      (value: string) =>
        replaced(
          fullConfig(),
          '"salt"',
          `"conversations":{"header":"x-s","idleSeconds":${value}},"salt"`,
        ),
    ],
  ] as const)(
    "F9 refuses a time of %s that is 0, negative or of days",
    (_name, _at, values, made) => {
      for (const value of values) expect(answer("weir-full", made(value)), value).toBeDefined();
    },
  );

  it("F10 takes a burst below the rate for a stricter limit: no more than the burst at once, the rate in the long run", () => {
    for (const burst of [1, 2, 7, 50]) {
      const { shared, workers } = configuredProxy(
        "weir",
        JSON.parse(limits(`{"requestsPerSecond":100,"burst":${burst}}`)),
      );
      const ask = (index: number) =>
        workers[index % workers.length]?.request(requestHeaders({ "x-tenant-id": "banned" })).reply
          ? 0
          : 1;
      let atOnce = 0;
      for (let i = 0; i < 1000; i++) atOnce += ask(i);
      expect(atOnce, `burst ${burst}`).toBe(burst);
      shared.nowNs += 60_000_000_000n;
      let evenly = 0;
      for (let i = 0; i < 10_000; i++) {
        shared.nowNs += 1_000_000n;
        evenly += ask(i);
      }
      expect(evenly, `burst ${burst}`).toBeGreaterThanOrEqual(990);
      expect(evenly, `burst ${burst}`).toBeLessThanOrEqual(1000 + burst);
    }
  });

  it("F10 lets no product of burst and rate overflow into a free pass", () => {
    for (const rate of ["1e-300", "1e-12", "0.000001", "1000000"]) {
      const { shared, workers } = configuredProxy(
        "weir",
        JSON.parse(limits(`{"requestsPerSecond":${rate},"burst":1000000}`)),
      );
      const [worker] = workers as [Worker];
      let admitted = 0;
      for (let i = 0; i < 3000; i++) {
        if (i % 1000 === 0) shared.nowNs += 1_000n;
        if (!worker.request(requestHeaders({ "x-tenant-id": "banned" })).reply) admitted++;
      }
      expect(admitted, rate).toBeLessThanOrEqual(1_000_000);
    }
  });
});

describe("weights and names", () => {
  const problemsOf = (variants: unknown) => {
    const document: any = exampleDocument();
    document.spec.variants = variants;
    return parseRoutes(JSON.stringify(document))
      .problems.map(({ message }) => message)
      .join("; ");
  };
  const two = (a: unknown, b: unknown, names = ["stable", "canary"]) =>
    [a, b].map((weight, i) => ({
      name: names[i],
      weight,
      labels: { version: `v${i}` },
      endpoints: [`127.0.0.1:${9001 + i}`],
    }));

  it.each<[unknown, unknown]>([
    [-1, 101],
    [101, 0],
    [99, 0],
    [100.5, 0.5],
    [99, 2],
    [0, 0],
    [33.333, 66.667],
    [2 ** 31 - 1, 2 ** 31 - 1],
  ])("F11 refuses weights of %s and %s, and says the sum", (a, b) => {
    expect(problemsOf(two(a, b))).toMatch(/weight/);
    if (a === 99) expect(problemsOf(two(a, b))).toContain(String(Number(a) + Number(b)));
  });
  it("F11 refuses a weight as a text, and takes 100 beside 0", () => {
    expect(problemsOf(two("50%", 50))).toMatch(/weight/);
    expect(problemsOf(two(100, 0))).toBe("");
  });
  it.each(rowsOf("buckets that sum", "negative bucket"))(
    "F11 refuses %s in the filter",
    (_name, text, words) => {
      expect(answer("weir", text)).toContain(words);
    },
  );

  it.each(["", "canary", "x".repeat(64), "a.b", "../", "Stable", "a b", "-a", "ü"])(
    "F12 refuses the name %j beside canary",
    (name) => expect(problemsOf(two(50, 50, [name, "canary"]))).not.toBe(""),
  );
  it.each(rowsOf("variant twice", "variant that is a path", "variant of 64"))(
    "F12 refuses %s in the filter",
    (_name, text, words) => {
      expect(answer("weir", text)).toContain(words);
    },
  );
});

describe("F16 a configuration that comes while requests are under way", () => {
  it("leaves a stream with what it began with, and counts it once", () => {
    const { shared, workers } = configuredProxy("token-limit", tokenConfig());
    const [worker] = workers as [Worker];
    const exchange = ask(worker, { "x-tenant-id": "tiny" });
    exchange.requestBody(Buffer.from('{"max_tokens":100}'), true);
    const none = tokenConfig((policy) => {
      policy.tiers.bronze = {};
    });
    expect(worker.configure(2, JSON.stringify(none))).toBe(true);
    worker.remove(1);
    const headers = Object.fromEntries(exchange.responseHeaders(json));
    expect(headers["x-ratelimit-limit-tokens"]).toBe("600");
    exchange.responseBody(Buffer.from('{"usage":{"prompt_tokens":1,"completion_tokens":2}}'), true);
    exchange.end();
    worker.tick(2);
    shared.nowNs += 2_000_000_000n;
    worker.tick(2);
    expect(shared.httpCalls.at(-1)?.body).toContain('"reported"');
  });

  it("refuses no request that the old one had admitted", () => {
    const { workers } = configuredProxy("weir-full", fullestConfig());
    const [worker] = workers as [Worker];
    const open = Array.from({ length: 4 }, () =>
      worker.open(requestHeaders({ "x-tenant-id": "acme" })),
    );
    expect(open.map(({ reply }) => reply)).toEqual([undefined, undefined, undefined, undefined]);
    expect(worker.configure(2, JSON.stringify({ ...fullestConfig(), revision: "r2" }))).toBe(true);
    worker.remove(1);
    for (const stream of open) {
      expect(Object.fromEntries(stream.answer([[":status", "200"]]).headers)).toMatchObject({
        ":status": "200",
      });
      stream.end();
    }
    expect(worker.open(requestHeaders({ "x-tenant-id": "acme" })).reply).toBeUndefined();
  });
});
