import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

/** What one answer of a pod was, before any proxy saw it. */
export interface Passed {
  path: string;
  /** The request's body as the pod got it. */
  asked: string;
  status: number;
  type: string;
  body: Buffer;
}

/** Stands between Envoy and a pod and keeps what the pod answered. */
export interface Tap {
  endpoint: string;
  /** What went through with this value of the header x-case. */
  passed: ReadonlyMap<string, Passed>;
  close(): void;
}

export async function startTap(pod: string): Promise<Tap> {
  const passed = new Map<string, Passed>();
  const [host, port] = pod.split(":");
  const server = createServer((req, res) => {
    const { headers, method, url: path = "" } = req;
    const asked: Buffer[] = [];
    const through = request({ host, port, method, path, headers, agent: false }, (answer) => {
      const pieces: Buffer[] = [];
      const { statusCode: status = 0 } = answer;
      res.writeHead(status, answer.headers);
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("end", () =>
        passed.set(String(headers["x-case"]), {
          path,
          asked: Buffer.concat(asked).toString(),
          status,
          type: String(answer.headers["content-type"]),
          body: Buffer.concat(pieces),
        }),
      );
      answer.on("error", () => res.destroy());
      answer.pipe(res);
    });
    through.on("error", () => res.destroy());
    res.on("close", () => through.destroy());
    req.on("data", (piece: Buffer) => asked.push(piece));
    req.pipe(through);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
