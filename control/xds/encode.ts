import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { frame } from "./frames.ts";
import type { EncodedResource } from "./snapshot.ts";

// Responses are put together from resources that are encoded already; field
// numbers are those of envoy/service/discovery/v3/discovery.proto.

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

/** A framed DiscoveryResponse. */
export function sotwResponse(
  typeUrl: string,
  version: string,
  nonce: string,
  resources: Iterable<EncodedResource>,
): Buffer {
  const writer = new BinaryWriter();
  text(writer, 1, version);
  for (const { any } of resources) writer.tag(2, WireType.LengthDelimited).bytes(any);
  text(writer, 4, typeUrl);
  text(writer, 5, nonce);
  return frame(writer.finish());
}

/** A framed DeltaDiscoveryResponse. */
export function deltaResponse(
  typeUrl: string,
  version: string,
  nonce: string,
  changed: Iterable<EncodedResource>,
  removed: Iterable<string>,
): Buffer {
  const writer = new BinaryWriter();
  text(writer, 1, version);
  for (const resource of changed) {
    writer.tag(2, WireType.LengthDelimited).fork();
    text(writer, 1, resource.version);
    writer.tag(2, WireType.LengthDelimited).bytes(resource.any);
    text(writer, 3, resource.name);
    writer.join();
  }
  text(writer, 4, typeUrl);
  text(writer, 5, nonce);
  for (const name of removed) text(writer, 6, name);
  return frame(writer.finish());
}
