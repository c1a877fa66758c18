import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { counted } from "../e2e/counted.ts";
import type { Answer } from "../e2e/gateway-client.ts";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";
import { type Question, questions } from "./questions.ts";
import { expectSame } from "./same-answer.ts";
import { type Passed, startTap, type Tap } from "./tap.ts";
import { usageIn } from "./usage.ts";

let models: Models;
let weir: BehindWeir;
const pods: Partial<Record<Question["of"], { llama: Llama; tap: Tap }>> = {};
const seen = new Map<string, { answer: Answer; passed: Passed }>();

beforeAll(async () => {
  models = writeModels();
  weir = await startBehindWeir();
  for (const [of, settings] of [
    ["texts", {}],
    ["vectors", { embedding: 1, pooling_type: 1 }],
  ] as const) {
    const llama = await startLlama(models.fast, settings);
    const tap = await startTap(llama.endpoint);
    pods[of] = { llama, tap };
  }
  const routes = questions.map(({ of }, i) =>
    inferenceRoute(routeOf(i), { stable: pods[of]?.tap.endpoint ?? "" }),
  );
  await weir.apply(...routes);
  for (const question of questions) seen.set(question.name, await ask(question));
});
afterAll(async () => {
  await weir?.stop();
  for (const pod of Object.values(pods)) {
    pod.tap.close();
    await pod.llama.stop();
  }
  models?.remove();
});

/** A route for each question, so that what is counted of it stands apart. */
const routeOf = (index: number) => `question-${index}`;

async function ask(question: Question) {
  const { body, method = "POST", name, of, path } = question;
  const host = hostOf(routeOf(questions.indexOf(question)));
  const headers = { host, "x-tenant-id": "acme", "x-case": name };
  const type = body ? { "content-type": "application/json" } : {};
  const answer = await weir.client.send(
    method,
    path,
    { ...headers, ...type },
    body && JSON.stringify(body),
  );
  const passed = pods[of]?.tap.passed.get(name);
  if (passed === undefined) throw new Error(`${name}: the pod answered nothing`);
  return { answer, passed };
}

const of = (name: string) => seen.get(name) as { answer: Answer; passed: Passed };
describe("an answer of llama.cpp's server", () => {
  it.each(questions)("$name: is the same for the client as for Envoy", (question) => {
    const { answer, passed } = of(question.name);
    expect(passed.status).toBe(question.status);
    expectSame(question.body, answer, passed);
  });
});

describe("tokens", () => {
  const soon = { timeout: 15_000, interval: 200 };
  const tokens = (kind: string, question: Question) =>
    counted(
      weir.server,
      "weir_tokens_total",
      `kind="${kind}"`,
      `route="inference/${routeOf(questions.indexOf(question))}"`,
    );

  it.each(questions)("of $name are what its usage says", async (question) => {
    const usage = usageIn(of(question.name).passed);
    // Of several answers it tells what one took.
    const answers = question.name === "two choices" ? 2 : 1;
    await expect.poll(() => tokens("completion", question), soon).toBe(answers * usage.completion);
    expect(await tokens("prompt", question)).toBe(usage.prompt);
  });

  it("of all completions are what the server itself counted", async () => {
    const all = questions.map(({ name }) => usageIn(of(name).passed).completion);
    const llama = pods.texts?.llama as Llama;
    // Its usage is about one of two choices; it works on both.
    const sum = all.reduce((each, other) => each + other, 12);
    expect((await llama.counters()).predictedTokens).toBe(sum);
  });

  it("are never estimated where the server tells them", async () => {
    const estimated = await counted(weir.server, "weir_usage_total", 'source="estimated"');
    expect(estimated).toBe(0);
  });
});
