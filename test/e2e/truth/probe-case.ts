import { Buffer } from "node:buffer";
import type { Body, Exchanged } from "./play.ts";

/** A stream with all that can be probed: ./probe says what is asked. */
export function probeCase(protocol: Exchanged["protocol"]): Exchanged {
  const body: Body = {
    pieces: [Buffer.from("a few bytes"), Buffer.from("x")],
    trailers: [["x-end", "1"]],
  };
  return {
    name: `probe-${protocol}`,
    protocol,
    method: "POST",
    path: "/",
    authority: "a.example",
    headers: [
      ["te", "trailers"],
      ["x-probe", "1"],
      ["x-probe", "2"],
    ],
    body,
    answer: { ...body, status: 200, headers: [["x-probe", "3"]] },
  };
}
