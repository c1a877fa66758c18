import { create } from "@bufbuild/protobuf";
import {
  type TransportSocket,
  TransportSocketSchema,
} from "../../gen/envoy/config/core/v3/base_pb.ts";
import {
  SubjectAltNameMatcher_SanType as SanType,
  CertificateValidationContext_TrustChainVerification as Trust,
} from "../../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { UpstreamTlsContextSchema } from "../../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import type { UpstreamTls } from "../../gen/weir/v1/traffic_pb.ts";
import { fileSource, pack } from "./common.ts";

/**
 * TLS to the pods; undefined for clear text, which is also what a mesh's own
 * certificates come to on an Envoy that has none.
 */
export function transportSocket(
  tls: UpstreamTls | undefined,
  http2: boolean,
): TransportSocket | undefined {
  if (tls === undefined || tls.mode === "disable" || tls.mode === "istio-mutual") return undefined;
  const { caCertificates, clientCertificate, insecureSkipVerify, privateKey, subjectAltNames } =
    tls;
  const value = pack(UpstreamTlsContextSchema, {
    sni: tls.sni,
    commonTlsContext: {
      alpnProtocols: [http2 ? "h2" : "http/1.1"],
      tlsCertificates:
        clientCertificate === ""
          ? []
          : [
              {
                certificateChain: fileSource(clientCertificate),
                privateKey: fileSource(privateKey),
              },
            ],
      validationContextType: {
        case: "validationContext",
        value: insecureSkipVerify
          ? { trustChainVerification: Trust.ACCEPT_UNTRUSTED }
          : {
              // Without roots Envoy would take any certificate.
              ...(caCertificates === ""
                ? { systemRootCerts: {} }
                : { trustedCa: fileSource(caCertificates) }),
              matchTypedSubjectAltNames: subjectAltNames.map((exact) => ({
                sanType: exact.includes("://") ? SanType.URI : SanType.DNS,
                matcher: { matchPattern: { case: "exact" as const, value: exact } },
              })),
            },
      },
    },
  });
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.tls",
    configType: { case: "typedConfig", value },
  });
}
