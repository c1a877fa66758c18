import { ask } from "./drive.js";

/** Fails unless an arm does what it is measured for: a filter that did not load is fast. @param {import("./arms.js").Arm} arm @param {number} port */
export async function checkEffects({ name, does }, port) {
  /** @param {boolean} held @param {string} what @param {string} answer */
  const expect = (held, what, answer) => {
    if (!held) throw new Error(`arm ${name}: expected ${what}, got\n${answer}`);
  };
  const known = await ask(port, ["x-tenant-id: acme", "x-weir-tier: gold"]);
  expect(known.startsWith("HTTP/1.1 200"), "an answer", known);
  const variant = /shown-x-weir-variant: (stable|canary)\r/;
  if (does === "all" || does === "writes") expect(variant.test(known), "a variant", known);
  if (does === "nothing" || does === "writes") return;
  expect(!known.includes("shown-x-weir-tier: gold"), "the claimed tier removed", known);
  if (does === "all") {
    const secret = await ask(port, ["x-tenant-id: acme", "cookie: session=1"]);
    expect(!secret.includes("shown-accept-encoding: gzip"), "no compression for a cookie", secret);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, user) => ask(port, ["x-tenant-id: acme"], `user-${user}`)),
    );
    const variants = new Set(answers.map((answer) => answer.match(variant)?.[1]));
    expect(variants.has("stable") && variants.has("canary"), "both variants", [...variants].join());
  }
  const strangers = await Promise.all(
    Array.from({ length: 40 }, () => ask(port, ["x-tenant-id: stranger"])),
  );
  const refused = strangers.filter((answer) => answer.startsWith("HTTP/1.1 429"));
  expect(
    refused.length >= 15 && refused.length < 40,
    "strangers limited",
    `${refused.length} of 40`,
  );
}
