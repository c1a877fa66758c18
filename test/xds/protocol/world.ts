import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema } from "../../../control/gen/envoy/config/core/v3/extension_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../../control/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../../control/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../../control/gen/envoy/config/route/v3/route_pb.ts";
import {
  createSnapshot,
  resourceTypes,
  type Snapshot,
  type TypeName,
} from "../../../control/xds/index.ts";
import type { Resource } from "../../../control/xds/resources/index.ts";

/** Revisions of resources, by their names. */
export type Revisions = Readonly<Record<string, number>>;
/** What there is of each type. */
export type World = Partial<Record<TypeName, Revisions>>;

export const urlOf = (name: TypeName) =>
  resourceTypes.find((type) => type.name === name)?.url ?? "";

/** A resource whose content says which revision it is. */
const make: Record<TypeName, (name: string, revision: number) => Resource> = {
  CDS: (name, revision) => ({
    name,
    schema: ClusterSchema,
    message: create(ClusterSchema, { name, altStatName: `r${revision}` }),
  }),
  EDS: (name, revision) => ({
    name,
    schema: ClusterLoadAssignmentSchema,
    message: create(ClusterLoadAssignmentSchema, {
      clusterName: name,
      policy: { overprovisioningFactor: 100 + revision },
    }),
  }),
  LDS: (name, revision) => ({
    name,
    schema: ListenerSchema,
    message: create(ListenerSchema, { name, statPrefix: `r${revision}` }),
  }),
  RDS: (name, revision) => ({
    name,
    schema: RouteConfigurationSchema,
    message: create(RouteConfigurationSchema, { name, internalOnlyHeaders: [`r${revision}`] }),
  }),
  ECDS: (name, revision) => ({
    name,
    schema: TypedExtensionConfigSchema,
    message: create(TypedExtensionConfigSchema, {
      name,
      typedConfig: { typeUrl: `example/r${revision}` },
    }),
  }),
};

/** Route tables that every world has: asking for the next of them proves that what came before was handled. */
export const probes = Array.from({ length: 400 }, (_, i) => `probe-${i}`);

const made = new Map<string, { name: string; revision: number }>();

/** A snapshot of a world, and of the probes. */
export function snapshotOf(world: World): Snapshot {
  const routes = { ...Object.fromEntries(probes.map((name) => [name, 0])), ...world.RDS };
  return snapshotOfOnly({ ...world, RDS: routes });
}

/** A snapshot of a world and nothing else. */
export function snapshotOfOnly(all: World): Snapshot {
  const snapshot = createSnapshot(
    Object.fromEntries(
      resourceTypes.map(({ name: type }) => [
        type,
        Object.entries(all[type] ?? {}).map(([name, revision]) => make[type](name, revision)),
      ]),
    ) as Record<TypeName, Resource[]>,
  );
  for (const { name: type } of resourceTypes)
    for (const { name, any } of snapshot[type].resources.values())
      made.set(Buffer.from(any).toString("latin1"), { name, revision: all[type]?.[name] ?? 0 });
  return snapshot;
}

/** Which resource this is; none but those of a snapshot are known. */
export function resourceIn(any: Any): { name: string; revision: number } {
  const found = made.get(Buffer.from(toBinary(AnySchema, any)).toString("latin1"));
  if (found === undefined) throw new Error(`a resource that no snapshot had: ${any.typeUrl}`);
  return found;
}
