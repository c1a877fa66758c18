import { connect, type Socket } from "node:net";

/** An answer as it came over the wire. */
export interface RawAnswer {
  /** 0 where the connection ended without an answer. */
  status: number;
  head: string;
  body: string;
}

/** Opens a connection; errors of a peer that resets it are what some tests are about. */
export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ""));
  socket.on("error", () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

/** Resolves with all that came once the other side has closed. */
export function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  return new Promise((resolve) => socket.once("close", () => resolve(text)));
}

/** Resolves with what came so far once that holds. @throws Error when the other side closes before */
export function readUntil(socket: Socket, holds: (text: string) => boolean): Promise<string> {
  let text = "";
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error(`closed after ${JSON.stringify(text)}`));
    const read = (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (!holds(text)) return;
      socket.off("data", read);
      socket.off("close", closed);
      resolve(text);
    };
    socket.on("data", read);
    socket.once("close", closed);
  });
}

/** Sends bytes that no HTTP client would, and reads the one answer to its length, or until the gateway closes. */
export async function sendRaw(url: string, text: string): Promise<RawAnswer> {
  const socket = await openSocket(url);
  const all = readToEnd(socket);
  let sofar = "";
  socket.on("data", (chunk: Buffer) => {
    sofar += chunk.toString("latin1");
    const { head, body } = parseAnswer(sofar);
    const length = /^content-length: (\d+)$/m.exec(head)?.[1];
    if (length !== undefined && body.length >= Number(length)) socket.destroy();
  });
  socket.write(Buffer.from(text, "latin1"));
  return parseAnswer(await all);
}

export function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf("\r\n\r\n");
  const head = (end < 0 ? text : text.slice(0, end)).replaceAll("\r\n", "\n");
  return {
    status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0),
    head,
    body: end < 0 ? "" : text.slice(end + 4),
  };
}

/** A request of a few lines, after which the gateway closes. */
export function rawRequest(
  path: string,
  headers: readonly string[] = [],
  method = "GET",
  host = "chat.example.com",
): string {
  return `${[`${method} ${path} HTTP/1.1`, `host: ${host}`, "connection: close", ...headers].join("\r\n")}\r\n\r\n`;
}
