import { expect } from "vitest";
import type { Answer } from "../e2e/gateway-client.ts";
import type { Passed } from "./tap.ts";

const eventsOf = (body: Buffer) => body.toString().split("\n\n");
/** What comes because usage was asked for. */
const onlyUsage = (event: string) => event.includes('"choices":[]') && event.includes('"usage":{');
/** Streams whose client did not ask for usage, so that Weir did. */
const askedByWeir = (body: object | undefined, passed: Passed) =>
  passed.asked.includes('"include_usage"') && !JSON.stringify(body).includes('"include_usage"');

/**
 * Expects an answer to reach the client as the pod gave it, byte for byte; of a stream for which
 * Weir asked for usage, all but that.
 * @param body what the client asked
 */
export function expectSame(body: object | undefined, answer: Answer, passed: Passed): void {
  expect(answer.status).toBe(passed.status);
  expect(answer.headers["content-type"]).toBe(passed.type);
  if (askedByWeir(body, passed)) {
    const own = eventsOf(passed.body).filter((event) => !onlyUsage(event));
    const got = eventsOf(answer.body);
    expect(got.filter((event) => own.includes(event))).toEqual(own);
    for (const event of got.filter((event) => !own.includes(event)))
      expect(event).not.toContain("usage");
  } else {
    expect(eventsOf(answer.body)).toEqual(eventsOf(passed.body));
    expect(answer.body.equals(passed.body)).toBe(true);
  }
}
