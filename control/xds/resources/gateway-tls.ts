import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { TransportSocketSchema } from "../../gen/envoy/config/core/v3/base_pb.ts";
import { TlsParameters_TlsProtocol as TlsProtocol } from "../../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import {
  type Secret,
  SecretSchema,
} from "../../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { DownstreamTlsContextSchema } from "../../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { adsSource, fileSource, pack } from "./common.ts";
import { type GatewayTls, gatewayCertificateName, gatewayClientCaName } from "./options.ts";

/** TLS towards clients. It names secrets, so that a certificate that is renewed does not replace the listener. */
export function gatewayTransportSocket({ clientCa }: GatewayTls) {
  const value = pack(DownstreamTlsContextSchema, {
    requireClientCertificate: clientCa !== undefined,
    commonTlsContext: {
      alpnProtocols: ["h2", "http/1.1"],
      tlsParams: { tlsMinimumProtocolVersion: TlsProtocol.TLSv1_2 },
      tlsCertificateSdsSecretConfigs: [named(gatewayCertificateName)],
      ...(clientCa === undefined
        ? {}
        : {
            validationContextType: {
              case: "validationContextSdsSecretConfig",
              value: named(gatewayClientCaName),
            },
          }),
    },
  });
  return {
    name: "envoy.transport_sockets.tls",
    configType: { case: "typedConfig", value },
  } satisfies MessageInitShape<typeof TransportSocketSchema>;
}

/**
 * What the secrets of the gateway are: names of files alone. Envoy reads these files, and reads
 * them again when one is renamed into their directories, which it does for secrets and not for
 * the files of a listener.
 */
export function gatewaySecrets(tls: GatewayTls | undefined): Secret[] {
  if (tls === undefined) return [];
  const { cert, clientCa, key } = tls;
  const certificate = create(SecretSchema, {
    name: gatewayCertificateName,
    type: {
      case: "tlsCertificate",
      value: { certificateChain: fileSource(cert), privateKey: fileSource(key) },
    },
  });
  if (clientCa === undefined) return [certificate];
  const authority = create(SecretSchema, {
    name: gatewayClientCaName,
    type: { case: "validationContext", value: { trustedCa: fileSource(clientCa) } },
  });
  return [certificate, authority];
}

function named(name: string) {
  return { name, sdsConfig: adsSource() };
}
