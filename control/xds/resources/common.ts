import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { type Any, anyPack, type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  AddressSchema,
  type Address as EnvoyAddress,
} from "../../gen/envoy/config/core/v3/address_pb.ts";
import {
  ApiVersion,
  type ConfigSource,
  ConfigSourceSchema,
} from "../../gen/envoy/config/core/v3/config_source_pb.ts";
import type { Address } from "./options.ts";

/** "Ask on the stream you already have." */
export function adsSource(initialFetchTimeout?: Duration): ConfigSource {
  return create(ConfigSourceSchema, {
    configSourceSpecifier: { case: "ads", value: {} },
    resourceApiVersion: ApiVersion.V3,
    ...(initialFetchTimeout ? { initialFetchTimeout } : {}),
  });
}

export function socketAddress({ host, port }: Address): EnvoyAddress {
  return create(AddressSchema, {
    address: {
      case: "socketAddress",
      value: { address: host, portSpecifier: { case: "portValue", value: port } },
    },
  });
}

/** A message as google.protobuf.Any. */
export function pack<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

export function seconds(value: number): Duration {
  return create(DurationSchema, { seconds: BigInt(value), nanos: 0 });
}
