import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AccessLogSchema } from "../../gen/envoy/config/accesslog/v3/accesslog_pb.ts";
import { FileAccessLogSchema } from "../../gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
import { StdoutAccessLogSchema } from "../../gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts";
import { ReqWithoutQuerySchema } from "../../gen/envoy/extensions/formatter/req_without_query/v3/req_without_query_pb.ts";
import { pack } from "./common.ts";
import type { EdgeOptions } from "./options.ts";

/**
 * What a line has, in the names of OpenTelemetry where it has one. Nothing of it is a credential:
 * of the headers only those that Weir or Envoy set, and of the path no query, where some clients
 * send their key.
 */
const fields = {
  timestamp: "%START_TIME%",
  "http.request.method": "%REQ(:METHOD)%",
  "server.address": "%REQ(:AUTHORITY)%",
  "url.path": "%REQ_WITHOUT_QUERY(:PATH)%",
  "client.address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "http.response.status_code": "%RESPONSE_CODE%",
  "http.request.body.size": "%BYTES_RECEIVED%",
  "http.response.body.size": "%BYTES_SENT%",
  "weir.route": "%CLUSTER_METADATA(weir:route)%",
  // Of the pod that got the request, so that one that was refused has none.
  "weir.variant": "%UPSTREAM_METADATA(weir:variant)%",
  "weir.pod": "%UPSTREAM_HOST%",
  "weir.tenant": "%REQ(X-WEIR-TENANT)%",
  "weir.tier": "%REQ(X-WEIR-TIER)%",
  trace_id: "%TRACE_ID%",
  "weir.request_id": "%REQ(X-REQUEST-ID)%",
  "weir.duration_ms": "%DURATION%",
  "weir.time_to_first_byte_ms": "%RESPONSE_DURATION%",
  "envoy.response_flags": "%RESPONSE_FLAGS%",
  "envoy.response_code_details": "%RESPONSE_CODE_DETAILS%",
};

/** The gateway's access log, where one is asked for. */
export function accessLogs({ accessLog }: EdgeOptions): MessageInitShape<typeof AccessLogSchema>[] {
  if (accessLog === undefined) return [];
  const logFormat = {
    format: { case: "jsonFormat" as const, value: fields },
    omitEmptyValues: true,
    formatters: [
      { name: "envoy.formatter.req_without_query", typedConfig: pack(ReqWithoutQuerySchema, {}) },
    ],
  };
  const accessLogFormat = { case: "logFormat" as const, value: logFormat };
  const [name, value] =
    accessLog === "stdout"
      ? ["envoy.access_loggers.stdout", pack(StdoutAccessLogSchema, { accessLogFormat })]
      : [
          "envoy.access_loggers.file",
          pack(FileAccessLogSchema, { path: accessLog, accessLogFormat }),
        ];
  return [{ name, configType: { case: "typedConfig", value } }];
}
