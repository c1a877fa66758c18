import type { IncomingMessage, ServerResponse } from "node:http";
import { create, fromJsonString, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString, errorToJson } from "@connectrpc/connect/protocol-connect";
import { may, type Principal } from "../auth/index.ts";
import {
  type ReportRequest,
  ReportRequestSchema,
  ReportResponseSchema,
} from "../gen/weir/v1/report_pb.ts";
import { readReport } from "../report/index.ts";
import { errorText } from "../text/error-text.ts";
import { asPrincipal, permissionDenied } from "./access.ts";
import { toConnectError } from "./errors.ts";
import { createReportService, type ReportContext } from "./report-service.ts";

const path = "/weir.v1.ReportService/Report";
const json = { "content-type": "application/json" };

export interface ReportEndpointOptions {
  maxBytes: number;
  /** Told of every refusal of the caller. */
  denied(line: string, code: string): void;
  /** Told of every call: how it ended, and how long it took. */
  called(method: string, code: string, seconds: number): void;
}

/** Answers a report, if the request is one in the form that the filters send. */
export type ReportEndpoint = (
  req: IncomingMessage,
  res: ServerResponse,
  principal: Principal,
) => boolean;

/**
 * Takes the filters' reports, of which a thousand may come a second: Connect's unary JSON, with
 * nothing on the way that a report does not need. Reports in any other form go through the API like
 * all calls.
 */
export function createReportEndpoint(
  context: ReportContext,
  { maxBytes, denied, called }: ReportEndpointOptions,
): ReportEndpoint {
  const { report } = createReportService(context);

  function take(text: string, who: Principal): string {
    if (!may(who, "proxy")) throw permissionDenied(who, "proxy");
    const message = decode(text);
    // It is answered at once: there is nothing in a call's context that it asks for.
    const answer = asPrincipal(who, () => report(message, {} as HandlerContext));
    return toJsonString(
      ReportResponseSchema,
      create(ReportResponseSchema, answer as MessageInitShape<typeof ReportResponseSchema>),
    );
  }

  return (req, res, who) => {
    const { method, url, headers } = req;
    if (
      method !== "POST" ||
      url !== path ||
      headers["content-type"] !== json["content-type"] ||
      (headers["content-encoding"] ?? "identity") !== "identity"
    )
      return false;
    const begin = performance.now();
    const ended = (code: string) =>
      called("ReportService/Report", code, (performance.now() - begin) / 1000);
    const refuse = (thrown: unknown) => {
      const error = toConnectError(thrown);
      if (error.code === Code.PermissionDenied)
        denied(`denied: ${who.name} called weir.v1.ReportService/Report`, "denied");
      ended(codeToString(error.code));
      res.writeHead(codeToHttpStatus(error.code), json);
      res.end(JSON.stringify(errorToJson(error, undefined)));
    };
    const chunks: Buffer[] = [];
    let size = 0;
    req.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
    });
    req.on("end", () => {
      try {
        if (size > maxBytes)
          throw new ConnectError(
            `the message has ${size} bytes, more than ${maxBytes}`,
            Code.ResourceExhausted,
          );
        const answer = take(Buffer.concat(chunks).toString("utf8"), who);
        ended("ok");
        // With a content-length, head and body are sent in one packet.
        res.writeHead(200, { ...json, "content-length": Buffer.byteLength(answer) }).end(answer);
      } catch (error) {
        refuse(error);
      }
    });
    req.on("error", () => ended("canceled"));
    return true;
  };
}

function decode(text: string): ReportRequest {
  try {
    return readReport(JSON.parse(text)) ?? fromJsonString(ReportRequestSchema, text);
  } catch (error) {
    throw new ConnectError(errorText(error), Code.InvalidArgument);
  }
}
