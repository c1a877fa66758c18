import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  ExtensionWithMatcherPerRouteSchema,
  ExtensionWithMatcherSchema,
} from "../../gen/envoy/extensions/common/matching/v3/extension_matcher_pb.ts";
import { SkipFilterSchema } from "../../gen/envoy/extensions/filters/common/matcher/action/v3/skip_action_pb.ts";
import { HttpResponseHeaderMatchInputSchema } from "../../gen/envoy/type/matcher/v3/http_inputs_pb.ts";
import type {
  Matcher_MatcherList_PredicateSchema,
  MatcherSchema,
} from "../../gen/xds/type/matcher/v3/matcher_pb.ts";
import { incompressible } from "../../route/index.ts";
import { pack } from "./common.ts";

/** A filter that is left out where the answer's headers say so. */
export function unlessVetoed(name: string, filter: Any): Any {
  return pack(ExtensionWithMatcherSchema, {
    extensionConfig: { name, typedConfig: filter },
    xdsMatcher: veto,
  });
}

/** Turns such a filter on for a route. */
export function vetoedOn(): Any {
  return pack(ExtensionWithMatcherPerRouteSchema, { xdsMatcher: veto });
}

/** Turns such a filter off for a route, whatever the answer says. */
export function vetoedOff(): Any {
  return pack(ExtensionWithMatcherPerRouteSchema, {
    xdsMatcher: { onNoMatch: { onMatch: { case: "action", value: skip } } },
  });
}

const skip = { name: "skip", typedConfig: pack(SkipFilterSchema, {}) };

const veto: MessageInitShape<typeof MatcherSchema> = {
  matcherType: {
    case: "matcherList",
    value: {
      matchers: [
        {
          predicate: {
            matchType: { case: "orMatcher", value: { predicate: incompressible.map(says) } },
          },
          onMatch: { onMatch: { case: "action", value: skip } },
        },
      ],
    },
  },
};

function says({
  header,
  value,
}: {
  header: string;
  value: string;
}): MessageInitShape<typeof Matcher_MatcherList_PredicateSchema> {
  const input = {
    name: "response-header",
    typedConfig: pack(HttpResponseHeaderMatchInputSchema, { headerName: header }),
  };
  const regex = { engineType: { case: "googleRe2" as const, value: {} }, regex: value };
  return {
    matchType: {
      case: "singlePredicate",
      value: {
        input,
        matcher: {
          case: "valueMatch",
          value: { matchPattern: { case: "safeRegex", value: regex } },
        },
      },
    },
  };
}
