import { createHash } from "node:crypto";
import { causeText } from "../text/error-text.ts";
import type { Reference } from "./reference.ts";

/** Media types of the "oci" variant of the Wasm image specification, which Istio's agent reads. */
const configType = "application/vnd.module.wasm.config.v1+json";
const layerType = "application/vnd.module.wasm.content.layer.v1+wasm";
const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** How a registry is called. */
export interface PushOptions {
  /** "user:password" in base64. Absent: nothing is shown. */
  credentials?: string | undefined;
  /** Speaks HTTP without TLS, as registries on one's own machine often do. Absent: false. */
  plainHttp?: boolean;
}

/** A registry refused, or answered with what it should not. */
export class RegistryError extends Error {
  override name = "RegistryError";
}

/**
 * Puts a .wasm file into a registry as an artifact that Istio can load, by the
 * OCI distribution specification 1.1. The same file gives the same digest.
 * @returns SHA-256 of the manifest in hex: what `wasm.sha256` and "@sha256:" mean for oci URLs
 * @throws RegistryError
 */
export async function pushWasm(
  { registry, repository, tag }: Reference,
  wasm: Uint8Array,
  options: PushOptions = {},
): Promise<string> {
  const base = `${options.plainHttp ? "http" : "https"}://${registry}/v2/${repository}`;
  const send = createSender(options.credentials);
  const config = Buffer.from("{}");

  async function blob(content: Uint8Array): Promise<void> {
    const digest = `sha256:${sha256(content)}`;
    if ((await send("HEAD", `${base}/blobs/${digest}`)).status === 200) return;
    const started = await send("POST", `${base}/blobs/uploads/`);
    const location = started.headers.get("location");
    if (started.status !== 202 || location === null) throw await refusal(started, "an upload");
    const target = new URL(location, base);
    target.searchParams.set("digest", digest);
    const type = "application/octet-stream";
    const stored = await send("PUT", target.href, content, type);
    if (stored.status !== 201) throw await refusal(stored, "a blob");
  }

  await blob(config);
  await blob(wasm);
  const describe = (mediaType: string, content: Uint8Array) => ({
    mediaType,
    digest: `sha256:${sha256(content)}`,
    size: content.byteLength,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: describe(configType, config),
      // Istio reads two: what the runtime should know, which is nothing, and the module.
      layers: [describe(configType, config), describe(layerType, wasm)],
    }),
  );
  const stored = await send("PUT", `${base}/manifests/${tag}`, manifest, manifestType);
  if (stored.status !== 201) throw await refusal(stored, "the manifest");
  return sha256(manifest);
}

type Send = (
  method: string,
  url: string,
  body?: Uint8Array,
  contentType?: string,
) => Promise<Response>;

/** Sends with what the registry asks for: nothing, a password, or a token that a password buys. */
function createSender(credentials: string | undefined): Send {
  let authorization: string | undefined;
  const attempt: Send = async (method, url, body, contentType) => {
    const headers: Record<string, string> = {};
    if (contentType) headers["content-type"] = contentType;
    if (authorization) headers.authorization = authorization;
    try {
      return await fetch(url, { method, headers, ...(body ? { body: new Uint8Array(body) } : {}) });
    } catch (error) {
      throw new RegistryError(
        `the registry ${new URL(url).host} cannot be reached: ${causeText(error)}`,
      );
    }
  };
  return async (method, url, body, contentType) => {
    const answer = await attempt(method, url, body, contentType);
    if (answer.status !== 401 || authorization !== undefined) return answer;
    authorization = await authorize(answer.headers.get("www-authenticate") ?? "", credentials);
    return attempt(method, url, body, contentType);
  };
}

async function authorize(challenge: string, credentials: string | undefined): Promise<string> {
  const basic = credentials && `Basic ${credentials}`;
  if (!/^bearer /i.test(challenge)) {
    if (!basic)
      throw new RegistryError("the registry needs credentials: log in with docker or podman");
    return basic;
  }
  const parameters = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  );
  const url = new URL(String(parameters.realm));
  for (const name of ["service", "scope"] as const) {
    const value = parameters[name];
    if (value) url.searchParams.set(name, value);
  }
  const answer = await fetch(url, basic ? { headers: { authorization: basic } } : {});
  if (!answer.ok) throw await refusal(answer, "a token");
  const { token, access_token } = (await answer.json()) as Record<string, string | undefined>;
  return `Bearer ${token ?? access_token ?? ""}`;
}

async function refusal(answer: Response, what: string): Promise<RegistryError> {
  const words = (await answer.text()).slice(0, 300).trim();
  const said = words ? `: ${words}` : "";
  return new RegistryError(`the registry refused ${what} with ${answer.status}${said}`);
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
