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

/**
 * "Ask on the stream you already have."
 * @param initialFetchTimeout after which a proxy goes on without; absent: it waits. By itself an
 *   Envoy that starts while the control service ends would serve 404 after 15 s.
 */
export function adsSource(initialFetchTimeout = seconds(0)): ConfigSource {
  return create(ConfigSourceSchema, {
    configSourceSpecifier: { case: "ads", value: {} },
    resourceApiVersion: ApiVersion.V3,
    initialFetchTimeout,
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

/** A file on the proxy's machine. */
export function fileSource(filename: string) {
  return { specifier: { case: "filename" as const, value: filename } };
}

/** A message as google.protobuf.Any. */
export function pack<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

export function seconds(value: number): Duration {
  return create(DurationSchema, { seconds: BigInt(value), nanos: 0 });
}

export function milliseconds(value: number): Duration {
  const nanos = Math.round((value % 1000) * 1e6);
  return create(DurationSchema, { seconds: BigInt(Math.floor(value / 1000)), nanos });
}
