import { describe, expect, it } from "vitest";
import { parseRolloutText } from "../../control/rollout/plan/document.ts";

const head = `apiVersion: weir.dev/v1alpha1
kind: Rollout
metadata: {name: chat, namespace: inference}
`;

describe("a rollout document", () => {
  it("is read from YAML", () => {
    const { rollout, problems } = parseRolloutText(
      `${head}spec: {canary: canary, stable: stable, steps: [{weight: 5}, {pause: {}}, {weight: 100, hold: 300s}]}`,
    );
    expect(problems).toEqual([]);
    expect(rollout?.spec?.steps.map(({ action }) => action.case)).toEqual([
      "weight",
      "pause",
      "weight",
    ]);
  });

  it.each([
    [
      "two actions in a step",
      "steps: [{weight: 5, pause: {}}]",
      "spec.steps[0]",
      "exactly one of weight, pause",
    ],
    ["a step of nothing", "steps: [{}]", "spec.steps[0]", "exactly one of"],
    ["a misspelt step", "steps: [{wieght: 5}]", "spec.steps[0].wieght", 'did you mean "weight"?'],
    ["a weight in words", "steps: [{weight: five}]", "spec.steps[0].weight", "must be a number"],
    ["three decimals", "steps: [{weight: 5.001}]", "spec.steps[0].weight", "two decimals"],
    ["a time without its unit", "steps: [{weight: 5}]\n  hold: 30", "spec.hold", "30"],
    [
      "an unknown metric",
      "steps: [{weight: 5}]\n  analysis: {checks: [{metric: vibes}]}",
      "spec.analysis.checks[0].metric",
      "must be one of success-rate",
    ],
    [
      "a sample of nothing",
      "steps: [{weight: 5}]\n  analysis: {minimumSample: 0}",
      "spec.analysis.minimumSample",
      "at least 20",
    ],
  ])("is refused with %s", (_name, spec, path, words) => {
    const { rollout, problems } = parseRolloutText(
      `${head}spec:\n  canary: canary\n  stable: stable\n  ${spec}\n`,
    );
    expect(rollout).toBeUndefined();
    expect(problems.map((each) => each.path)).toContain(path);
    expect(problems.map(({ message }) => message).join("\n")).toContain(words);
  });

  it.each([
    ["", "no document"],
    ["---\n---\n", "no document"],
    ["null", "no document"],
    ["a: 1\n---\nb: 2\n", "one rollout, not 2"],
    ["a: [", "flow"],
    ["[1, 2]", "must be an object"],
  ])("is refused: %j", (text, words) => {
    const { problems } = parseRolloutText(text);
    expect(problems.map(({ message }) => message.toLowerCase()).join("\n")).toContain(words);
  });
});
