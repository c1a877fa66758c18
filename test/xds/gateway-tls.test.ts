import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { SecretSchema } from "../../control/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { DownstreamTlsContextSchema } from "../../control/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { DiscoveryResponseSchema } from "../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { gatewaySecrets } from "../../control/xds/index.ts";
import { edgeFilterChain } from "../../control/xds/resources/edge.ts";
import { createReportSecret, createSecretStream, encodeSecrets } from "../../control/xds/secret.ts";

const tls = { cert: "/tls/tls.crt", key: "/tls/tls.key", clientCa: "/tls/ca.crt" };
const names = ["weir-gateway-certificate", "weir-gateway-client-ca"];

/** The names of the secrets in a frame, and its version. */
function sentIn(frame: Buffer | undefined) {
  if (frame === undefined) return undefined;
  const { resources, versionInfo } = fromBinary(DiscoveryResponseSchema, frame.subarray(5));
  return {
    version: versionInfo,
    names: resources.map((each) => anyUnpack(each, SecretSchema)?.name),
  };
}

const asked = {
  delta: false,
  nonce: "",
  names,
  unsubscribed: [],
  version: "",
  initialVersions: {},
};

it("a gateway without TLS has no secrets, and its filter chain no socket", () => {
  expect(gatewaySecrets(undefined)).toEqual([]);
  expect(edgeFilterChain({})).toEqual({});
});

it("the listener names secrets, and the secrets name files", () => {
  const value = edgeFilterChain({ tls }).transportSocket?.configType.value;
  const context = value && anyUnpack(value, DownstreamTlsContextSchema);
  expect(context).toMatchObject({
    requireClientCertificate: true,
    commonTlsContext: {
      tlsCertificates: [],
      tlsCertificateSdsSecretConfigs: [{ name: names[0] }],
      validationContextType: {
        case: "validationContextSdsSecretConfig",
        value: { name: names[1] },
      },
    },
  });
  const file = (value: string) => ({ specifier: { case: "filename", value } });
  expect(gatewaySecrets(tls)).toMatchObject([
    { type: { value: { certificateChain: file(tls.cert), privateKey: file(tls.key) } } },
    { type: { value: { trustedCa: file(tls.clientCa) } } },
  ]);
});

it("clients show no certificate where no authority is given", () => {
  const { cert, key } = tls;
  const value = edgeFilterChain({ tls: { cert, key } }).transportSocket?.configType.value;
  const context = value && anyUnpack(value, DownstreamTlsContextSchema);
  expect(context?.requireClientCertificate).toBe(false);
  expect(gatewaySecrets({ cert, key }).map(({ name }) => name)).toEqual([names[0]]);
});

it("a stream is sent the secrets that it asks for, and each of them again only when it changes", () => {
  let token = "one";
  const files = encodeSecrets(gatewaySecrets(tls));
  const report = createReportSecret(() => token);
  const stream = createSecretStream(
    () => [...report(), ...files],
    () => {},
  );
  expect(stream.next()).toBeUndefined();
  stream.receive({ ...asked, names: [...names, "weir-report"] });
  expect(sentIn(stream.next())?.names.sort()).toEqual([...names, "weir-report"]);
  expect(stream.next()).toBeUndefined();
  token = "two";
  expect(sentIn(stream.next())?.names).toEqual(["weir-report"]);
  expect(stream.next()).toBeUndefined();
});

it("a proxy that comes back with its secrets is sent none, by either protocol", () => {
  const files = encodeSecrets(gatewaySecrets(tls));
  const open = () =>
    createSecretStream(
      () => files,
      () => {},
    );
  const first = open();
  first.receive(asked);
  const { version = "" } = sentIn(first.next()) ?? {};
  const again = open();
  again.receive({ ...asked, version });
  expect(again.next()).toBeUndefined();
  const delta = open();
  const initialVersions = Object.fromEntries(files.map(({ name, version }) => [name, version]));
  delta.receive({ ...asked, delta: true, initialVersions });
  expect(delta.next()).toBeUndefined();
  const other = open();
  other.receive({ ...asked, version: "of before" });
  expect(sentIn(other.next())?.names).toEqual(names);
});
