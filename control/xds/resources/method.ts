import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeaderMatcherSchema } from "../../gen/envoy/config/route/v3/route_components_pb.ts";

/** Matches requests of these methods. */
export function methodIn(methods: readonly string[]): MessageInitShape<typeof HeaderMatcherSchema> {
  return {
    name: ":method",
    headerMatchSpecifier: {
      case: "stringMatch",
      value: {
        matchPattern: {
          case: "safeRegex",
          value: { engineType: { case: "googleRe2", value: {} }, regex: methods.join("|") },
        },
      },
    },
  };
}
