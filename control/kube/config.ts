import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { errorText } from "../text/error-text.ts";
import { nestingProblem } from "../text/nesting.ts";
import { KubeUnreachableError } from "./errors.ts";

/** Address and credentials of an API server. */
export interface ClusterConfig {
  /** "https://HOST:PORT", without a path. */
  server: string;
  ca?: string;
  cert?: string;
  key?: string;
  /** Read before each request: a mounted token is replaced while the process runs. */
  token?: () => string;
  insecure?: boolean;
  /** Name the certificate is checked for, where it is not the server's host. */
  serverName?: string;
  /** Namespace that the configuration names. */
  namespace: string;
}

const mounted = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Configuration from a kubeconfig file, or that of the pod this process runs in.
 * Looks at the given file, then KUBECONFIG, then the pod, then ~/.kube/config.
 * @throws KubeUnreachableError with what is missing and where it was looked for
 */
export function loadClusterConfig(file?: string): ClusterConfig {
  const named = file ?? process.env.KUBECONFIG?.split(":")[0];
  if (named) return fromKubeconfig(named);
  const host = process.env.KUBERNETES_SERVICE_HOST;
  if (host && existsSync(join(mounted, "token"))) return fromPod(host);
  const home = join(homedir(), ".kube", "config");
  if (existsSync(home)) return fromKubeconfig(home);
  throw new KubeUnreachableError(
    "cannot find a Kubernetes API server: set KUBECONFIG, or run in a pod with a service account",
  );
}

function fromPod(host: string): ClusterConfig {
  const port = process.env.KUBERNETES_SERVICE_PORT ?? "443";
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: readFileSync(join(mounted, "ca.crt"), "utf8"),
    token: () => readFileSync(join(mounted, "token"), "utf8").trim(),
    namespace: readFileSync(join(mounted, "namespace"), "utf8").trim(),
  };
}

type Fields = Record<string, string | boolean | undefined>;

function fromKubeconfig(file: string): ClusterConfig {
  const document = readKubeconfig(file);
  const pick = (list: string, kind: string, name: string | undefined): Fields => {
    const entries = (document[list] ?? []) as ({ name?: string } & Record<string, Fields>)[];
    const found = entries.find((entry) => entry.name === name)?.[kind];
    if (found === undefined)
      throw new KubeUnreachableError(`kubeconfig ${file} has no ${kind} "${name ?? ""}"`);
    return found;
  };
  const context = pick("contexts", "context", document["current-context"] as string);
  const cluster = pick("clusters", "cluster", context.cluster as string);
  const user = context.user ? pick("users", "user", context.user as string) : {};
  if (user.exec || user["auth-provider"])
    throw new KubeUnreachableError(
      `user "${context.user}" of kubeconfig ${file} uses a login plugin: weir supports only a token or a client certificate`,
    );
  const at = dirname(resolve(file));
  const text = (fields: Fields, name: string): string | undefined => {
    const data = fields[`${name}-data`];
    if (typeof data === "string") return Buffer.from(data, "base64").toString();
    const path = fields[name];
    return typeof path === "string" ? readFileSync(resolve(at, path), "utf8") : undefined;
  };
  const tokenFile = user.tokenFile;
  const token =
    typeof tokenFile === "string"
      ? () => readFileSync(resolve(at, tokenFile), "utf8").trim()
      : typeof user.token === "string"
        ? () => user.token as string
        : undefined;
  return defined({
    server: String(cluster.server).replace(/\/$/, ""),
    ca: text(cluster, "certificate-authority"),
    cert: text(user, "client-certificate"),
    key: text(user, "client-key"),
    token,
    insecure: cluster["insecure-skip-tls-verify"] === true ? true : undefined,
    serverName: cluster["tls-server-name"] as string | undefined,
    namespace: (context.namespace as string | undefined) ?? "default",
  });
}

function readKubeconfig(file: string): Record<string, unknown> {
  try {
    const text = readFileSync(file, "utf8");
    const nesting = nestingProblem(text);
    if (nesting !== undefined) throw new Error(`it ${nesting}`);
    return (parse(text) ?? {}) as Record<string, unknown>;
  } catch (error) {
    throw new KubeUnreachableError(`cannot read kubeconfig ${file}: ${errorText(error)}`);
  }
}

function defined(config: { [K in keyof ClusterConfig]: ClusterConfig[K] | undefined }) {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => value !== undefined),
  ) as unknown as ClusterConfig;
}
