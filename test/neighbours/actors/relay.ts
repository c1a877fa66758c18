import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** The cable between the real Envoys and the control service. */
export interface Relay {
  port: number;
  /** Ends all connections, and takes no new ones until mended. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function startRelay(toPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket, other: () => Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      other().destroy();
    });
  };
  const server = createServer((inward) => {
    if (isCut) {
      inward.destroy();
      return;
    }
    const outward = connect(toPort, "127.0.0.1");
    keep(inward, () => outward);
    keep(outward, () => inward);
    inward.pipe(outward);
    outward.pipe(inward);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend() {
      isCut = false;
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
