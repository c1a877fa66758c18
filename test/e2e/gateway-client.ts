import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";

/** An answer of the gateway, read to its end. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** When each piece of the body came, in milliseconds since the request. */
  chunkMs: number[];
}

/** Asks the gateway for chat.example.com over kept connections. */
export interface GatewayClient {
  get(path: string, headers?: OutgoingHttpHeaders): Promise<Answer>;
  post(path: string, body: object, headers?: OutgoingHttpHeaders): Promise<Answer>;
  send(method: string, path: string, headers: OutgoingHttpHeaders, body?: string): Promise<Answer>;
  close(): void;
}

export function gatewayClient(base: string, connections = 16): GatewayClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const url = new URL(base);

  function send(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    body?: string,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const start = performance.now();
      const options = {
        agent,
        host: url.hostname,
        port: url.port,
        method,
        path,
        headers: { host: "chat.example.com", ...headers },
      };
      const req = request(options, (res) => {
        const chunks: Buffer[] = [];
        const chunkMs: number[] = [];
        res.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          chunkMs.push(performance.now() - start);
        });
        res.on("end", () =>
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            body: Buffer.concat(chunks),
            chunkMs,
          }),
        );
        res.on("error", reject);
      });
      req.on("error", reject);
      req.end(body);
    });
  }

  return {
    send,
    get: (path, headers = {}) => send("GET", path, headers),
    post: (path, body, headers = {}) =>
      send("POST", path, { "content-type": "application/json", ...headers }, JSON.stringify(body)),
    close: () => agent.destroy(),
  };
}
