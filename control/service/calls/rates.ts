import type { IncomingMessage, ServerResponse } from "node:http";
import { createRate } from "../../api/index.ts";
import { anonymous, isPod, may, type Principal } from "../../auth/index.ts";

/** Calls a second that are taken of one caller; twice as many at once. */
const perSecond = {
  /** Of a person or program of the access file. */
  people: 200,
  /** Of a credential that many share: that of proxies or pods, the one token, or an address of an open service. */
  shared: 2_000,
  /** Reports of such: each proxy's modules report once a second. */
  reports: 20_000,
};
const reportPath = "/weir.v1.ReportService/Report";
/** After this time a rejected caller is within its rate again. */
const comeBackS = 1;

/** Refuses callers that call too often; false when there is nothing to refuse. */
export function createRates(
  monotonicMs?: () => number,
): (req: IncomingMessage, res: ServerResponse, caller: Principal) => boolean {
  const rates = {
    people: createRate(perSecond.people, monotonicMs),
    shared: createRate(perSecond.shared, monotonicMs),
    reports: createRate(perSecond.reports, monotonicMs),
  };
  return (req, res, caller) => {
    const isShared = may(caller, "proxy") || isPod(caller);
    const kind = !isShared ? "people" : req.url === reportPath ? "reports" : "shared";
    const key = caller === anonymous ? `${req.socket.remoteAddress}` : caller.name;
    if (rates[kind].admits(key)) return false;
    const what = kind === "reports" ? "reports" : "calls";
    refuse(req, res, `more than ${perSecond[kind]} ${what} per second: retry in ${comeBackS} s`);
    return true;
  };
}

/** In the form of the caller's protocol, or it would be taken for a service that is away. */
function refuse(req: IncomingMessage, res: ServerResponse, message: string): void {
  const type = req.headers["content-type"] ?? "";
  const error = { code: "resource_exhausted", message };
  const comeBack = { "retry-after": `${comeBackS}` };
  if (type.startsWith("application/grpc")) {
    res.writeHead(200, {
      "content-type": type,
      "grpc-status": "8",
      "grpc-message": encodeURIComponent(message),
      "grpc-retry-pushback-ms": `${1000 * comeBackS}`,
    });
    res.end();
  } else if (type.startsWith("application/connect+")) {
    const end = Buffer.from(JSON.stringify({ error }));
    const head = Buffer.alloc(5);
    head.writeUInt8(2);
    head.writeUInt32BE(end.length, 1);
    res.writeHead(200, { "content-type": type, ...comeBack }).end(Buffer.concat([head, end]));
  } else {
    res.writeHead(429, { "content-type": "application/json", ...comeBack });
    res.end(JSON.stringify(error));
  }
}
