import { createConnection } from "node:net";
import { hosts } from "./policies.js";

const connections = 4;

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

/**
 * Connections to one listener that stay open between slices of requests.
 * @param {number} port
 */
export function createDriver(port) {
  const sockets = Array.from({ length: connections }, () => createConnection(port, "127.0.0.1"));
  for (const socket of sockets) socket.setNoDelay(true);
  return {
    /** Sends requests, one at a time on each connection, and checks that each was answered with 200. @param {number} count */
    async send(count) {
      await Promise.all(sockets.map((socket) => sendOn(socket, count / connections)));
    },
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** @param {import("node:net").Socket} socket @param {number} count */
function sendOn(socket, count) {
  return new Promise((resolve, reject) => {
    let answered = 0;
    /** @param {Buffer} chunk */
    const onData = (chunk) => {
      if (!chunk.toString("latin1", 0, 15).startsWith("HTTP/1.1 200"))
        end(new Error(`unexpected answer: ${chunk.toString("latin1", 0, 200)}`));
      else if (++answered >= count) end();
      else socket.write(measured);
    };
    /** @param {Error} [error] */
    const end = (error) => {
      socket.off("data", onData);
      socket.off("error", reject);
      if (error) reject(error);
      else resolve(undefined);
    };
    socket.on("data", onData);
    socket.on("error", reject);
    socket.write(measured);
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
