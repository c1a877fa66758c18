import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { HTTPFaultSchema } from "../../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import type { HttpFilterSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { FractionalPercent_DenominatorType } from "../../gen/envoy/type/v3/percent_pb.ts";
import type { Fault } from "../../gen/weir/v1/route_pb.ts";
import { pack } from "./common.ts";

export const faultFilterName = "envoy.filters.http.fault";

/**
 * Envoy's fault filter, idle: routes with a drill carry their own settings. It
 * is always in the chain, so that a drill does not replace the listener and
 * drain long streams.
 */
export function faultFilter(): MessageInitShape<typeof HttpFilterSchema> {
  return {
    name: faultFilterName,
    configType: { case: "typedConfig", value: pack(HTTPFaultSchema, {}) },
  };
}

/** What a route of a drill carries. */
export function faultOnRoute({ abort, delay, kibibytesPerSecond }: Fault): Any {
  return pack(HTTPFaultSchema, {
    ...(delay?.duration
      ? {
          delay: {
            faultDelaySecifier: { case: "fixedDelay", value: delay.duration },
            percentage: fraction(delay.percent ?? 0),
          },
        }
      : {}),
    ...(abort
      ? {
          abort: {
            errorType: { case: "httpStatus", value: abort.httpStatus },
            percentage: fraction(abort.percent ?? 0),
          },
        }
      : {}),
    ...(kibibytesPerSecond
      ? {
          responseRateLimit: {
            limitType: { case: "fixedLimit", value: { limitKbps: BigInt(kibibytesPerSecond) } },
            percentage: fraction(100),
          },
        }
      : {}),
  });
}

function fraction(percent: number) {
  return {
    numerator: Math.round(percent * 100),
    denominator: FractionalPercent_DenominatorType.TEN_THOUSAND,
  };
}
