import type { IncomingMessage, ServerResponse } from "node:http";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
} from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Costs } from "./costs.ts";

export interface CallsOptions extends ConnectRouterOptions {
  routes(router: ConnectRouter): void;
  costs: Costs;
  log(line: string, code?: string): void;
}

/**
 * Answers calls as connectNodeAdapter does, and makes each wait for its caller's turn once it
 * is here as a whole: who sends slowly keeps no one waiting, and who sends much waits for itself.
 *
 * @returns answers one call; `caller` is undefined for who shares its name with too many
 */
export function createCalls({
  routes,
  costs,
  log,
  ...options
}: CallsOptions): (req: IncomingMessage, res: ServerResponse, caller: string | undefined) => void {
  const router = createConnectRouter({
    acceptCompression: [compressionGzip, compressionBrotli],
    ...options,
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return (req, res, caller) => {
    const handler = handlers.get(req.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) {
      res.writeHead(404).end();
      return;
    }
    const request = universalRequestFromNodeRequest(req, res, undefined, undefined);
    const body = request.body as AsyncIterable<Uint8Array>;
    const answer =
      caller === undefined
        ? handler(request)
        : costs.measured(caller, (turn) => handler({ ...request, body: withTurn(body, turn) }));
    answer
      .then((response) => universalResponseToNodeResponse(response, res))
      .catch((reason: unknown) => {
        if (ConnectError.from(reason).code !== Code.Aborted)
          log(`call ${handler.method.name} failed: ${reason}`, "request-failed");
      });
  };
}

async function* withTurn(
  body: AsyncIterable<Uint8Array>,
  turn: () => Promise<void>,
): AsyncIterable<Uint8Array> {
  yield* body;
  await turn();
}
