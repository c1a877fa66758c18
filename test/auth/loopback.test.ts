import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { isLoopback } from "../../control/auth/index.ts";
import { ListenError } from "../../control/service/ports/listen.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { startQuietServer } from "../api/control-server.ts";

const loopback = ["127.0.0.1", "127.0.0.0", "127.255.255.255", "127.8.0.1", "localhost", "::1"];
const beyond = [
  "127.evil.example",
  "127.0.0.1.evil.example",
  "127.0.0.1.nip.io",
  "127.0.0.1.",
  "127.",
  "127",
  "127.1",
  "127.0.0.256",
  "127.0.0.1/8",
  "0127.0.0.1",
  "0x7f.0.0.1",
  "128.0.0.1",
  "126.255.255.255",
  "10.127.0.1",
  "0.0.0.0",
  "::",
  "::2",
  "::1.evil.example",
  "fe80::1",
  "2001:db8::1",
  "localhost.evil.example",
  "localhost.",
  "evil.localhost.example",
  " 127.0.0.1",
  "",
];

describe("an address that only this machine reaches", () => {
  it.each(loopback)("is %j", (host) => expect(isLoopback(host)).toBe(true));
  it.each(["0:0:0:0:0:0:0:1", "::0001"])("is %j, as IPv6 may be written", (host) =>
    expect(isLoopback(host)).toBe(true),
  );
  it.each(beyond)("is not %j", (host) => expect(isLoopback(host)).toBe(false));
});

it.each(["127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example"])(
  "an open service does not listen under the name %s",
  async (host) => {
    for (const flag of ["listen", "xds"])
      await expect(startQuietServer({ [flag]: { host, port: 0 } })).rejects.toThrow(ListenError);
  },
);

describe("Envoy's admin interface", () => {
  const paths = (host: string) => {
    const xds = { host: "127.0.0.1", port: 18000 };
    const text = bootstrap({ node: "edge-1", xds, admin: { host, port: 9901 } });
    return parse(text).admin.allow_paths;
  };
  it.each(loopback)("shows everything on %s", (host) => expect(paths(host)).toBeUndefined());
  it.each(["127.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "10.127.0.1", "::"])(
    "shows little on %s",
    (host) => expect(paths(host)).toHaveLength(3),
  );
});
