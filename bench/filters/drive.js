import { connect } from "node:http2";
import { createConnection } from "node:net";
import { hosts } from "./policies.js";

const atOnce = 50;

/** @param {string} host @param {string} user @param {readonly string[]} more header lines */
function requestTo(host, user, more) {
  const lines = [
    "GET /v1/models HTTP/1.1",
    `host: ${host}`,
    "user-agent: openai-python/3.52",
    "accept: application/json",
    "accept-encoding: gzip",
    `x-user-id: ${user}`,
    "content-type: application/json",
    ...more,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
}

/** A request with twelve headers by the time it reaches a filter. */
const measured = {
  ":method": "GET",
  ":path": "/v1/models",
  ":scheme": "http",
  ":authority": hosts.measured,
  "user-agent": "openai-python/3.52",
  accept: "application/json",
  "accept-encoding": "gzip",
  "x-user-id": "ada",
  "content-type": "application/json",
  "x-tenant-id": "acme",
};

/**
 * One HTTP/2 connection to a listener that stays open between slices of requests,
 * with many streams at a time: Envoy then reads and writes for many of them at
 * once, and its system calls, which are the same in all arms, weigh little.
 * @param {number} port
 */
export function createDriver(port) {
  const session = connect(`http://127.0.0.1:${port}`);
  return {
    /** Sends requests and checks that each was answered with 200. @param {number} count */
    async send(count) {
      let left = count;
      const one = async () => {
        while (left-- > 0) await answered(session);
      };
      await Promise.all(Array.from({ length: atOnce }, one));
    },
    close() {
      session.destroy();
    },
  };
}

/** @param {import("node:http2").ClientHttp2Session} session @returns {Promise<void>} */
function answered(session) {
  return new Promise((resolve, reject) => {
    const stream = session.request(measured, { endStream: true });
    stream.on("response", ({ ":status": status }) => {
      if (status !== 200) reject(new Error(`unexpected answer: ${status}`));
    });
    stream.on("error", reject);
    stream.on("end", resolve);
    stream.resume();
  });
}

/** One request to the host that shows effects; the whole answer as text. @param {number} port @param {readonly string[]} more header lines @param {string} [user] @returns {Promise<string>} */
export function ask(port, more, user = "ada") {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    let answer = "";
    socket.on("connect", () =>
      socket.write(requestTo(hosts.shown, user, [...more, "connection: close"])),
    );
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}
