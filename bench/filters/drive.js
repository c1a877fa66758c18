import { createConnection } from "node:net";
import { hosts } from "./policies.js";

const connections = 8;

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

const measured = requestTo(hosts.measured, "ada", ["x-tenant-id: acme"]);

/** Sends requests over kept connections and checks that each one was answered with 200. @param {number} port @param {number} count */
export async function drive(port, count) {
  await Promise.all(
    Array.from({ length: connections }, () => connection(port, count / connections)),
  );
}

/** @param {number} port @param {number} count */
function connection(port, count) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    let answered = 0;
    socket.on("connect", () => socket.write(measured));
    socket.on("data", (chunk) => {
      if (!chunk.toString("latin1", 0, 15).startsWith("HTTP/1.1 200")) {
        socket.destroy();
        reject(new Error(`unexpected answer: ${chunk.toString("latin1", 0, 200)}`));
        return;
      }
      if (++answered === count) socket.end(() => resolve(undefined));
      else socket.write(measured);
    });
    socket.on("error", reject);
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
