// Builds Istio's and Kubernetes' own programs, and test clients, from their Go modules, once, into a cache:
//   node tools/build-istio.js crd-check istioctl [pilot-discovery kube-apiserver ...]
// Prints {"NAME": "PATH"} on stdout, progress on stderr. Exits 3 when there is
// no Go that can build them, 1 when the build fails.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { goBuild } from "./go-build.js";

const istio = new URL("../test/istio/go", import.meta.url).pathname;
const kubernetes = new URL("../test/kube/go", import.meta.url).pathname;
const tools = new URL("../test/kube/tools", import.meta.url).pathname;
const xds = new URL("../test/xds/go", import.meta.url).pathname;
/** @type {Record<string, {moduleDir: string, source: string, own?: boolean}>} */
const programs = {
  istioctl: { moduleDir: istio, source: "istio.io/istio/istioctl/cmd/istioctl" },
  "pilot-discovery": { moduleDir: istio, source: "istio.io/istio/pilot/cmd/pilot-discovery" },
  "kube-apiserver": { moduleDir: kubernetes, source: "k8s.io/kubernetes/cmd/kube-apiserver" },
  kubectl: { moduleDir: kubernetes, source: "k8s.io/kubernetes/cmd/kubectl" },
  ...ownPrograms(istio),
  ...ownPrograms(kubernetes),
  ...ownPrograms(tools),
  ...ownPrograms(xds),
};
const wanted = process.argv.slice(2);
const known = Object.keys(programs);
const unknown = wanted.filter((name) => !known.includes(name));
if (wanted.length === 0 || unknown.length > 0) {
  console.error(`usage: node tools/build-istio.js NAME..., each one of ${known.join(", ")}`);
  process.exit(2);
}

const cache = join(process.env.WEIR_CACHE ?? join(homedir(), ".cache", "weir"), "istio");
/** @type {Record<string, string>} */
const built = {};
for (const name of wanted) built[name] = await build(name);
console.log(JSON.stringify(built));

/** The folders of a module: each is a program of ours. */
function ownPrograms(/** @type {string} */ moduleDir) {
  const folders = readdirSync(moduleDir, { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  return Object.fromEntries(
    folders.map(({ name }) => [name, { moduleDir, source: `./${name}`, own: true }]),
  );
}

/** @param {string} name */
function program(name) {
  return programs[name] ?? fail(2, `unknown program ${name}`);
}

/** @param {string} name */
async function build(name) {
  const { moduleDir, source } = program(name);
  const target = join(cache, `${name}-${sourceDigest(name)}`);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  const unlock = lock(`${target}.lock`);
  try {
    if (existsSync(target)) return target;
    const goEnv = goEnvironment();
    if (name === "crd-check") takeGatewayCrds(goEnv);
    console.error(`building ${name} from its Go module; the first time takes minutes`);
    const started = Date.now();
    const partial = `${target}.${process.pid}`;
    // Tests ask little of these programs: without inlining they are compiled in two thirds of the time.
    const flags = ["-trimpath", "-gcflags", "all=-l", "-ldflags", "-s -w"];
    const args = [...flags, "-o", partial, source];
    const failure = await goBuild(name, args, { cwd: moduleDir, env: goEnv });
    if (failure !== undefined) {
      rmSync(partial, { force: true });
      fail(1, `building ${name} failed: go build ${args.join(" ")} in ${moduleDir}\n${failure}`);
    }
    renameSync(partial, target);
    console.error(`built ${name} in ${Math.round((Date.now() - started) / 1000)} s: ${target}`);
    return target;
  } finally {
    unlock();
  }
}

/**
 * Puts the Gateway API's definitions of both channels beside the program that embeds them.
 * @param {NodeJS.ProcessEnv} env
 */
function takeGatewayCrds(env) {
  const options = /** @type {const} */ ({ cwd: istio, env, encoding: "utf8" });
  const args = ["mod", "download", "-json", "sigs.k8s.io/gateway-api"];
  const { Dir } = JSON.parse(execFileSync("go", args, options));
  const target = join(istio, "crd-check", "crds");
  mkdirSync(target, { recursive: true });
  for (const channel of ["standard", "experimental"]) {
    const file = join(Dir, "config/crd", channel, "gateway.networking.k8s.io_httproutes.yaml");
    writeFileSync(join(target, `${channel}.yaml`), readFileSync(file));
  }
}

/** What the program is made from: the module's versions, and its source when it is ours. */
function sourceDigest(/** @type {string} */ name) {
  const { moduleDir, own } = program(name);
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(moduleDir, file)));
  if (own) {
    for (const file of readdirSync(join(moduleDir, name)).sort()) {
      if (file.endsWith(".go")) hash.update(readFileSync(join(moduleDir, name, file)));
    }
  }
  return hash.digest("hex").slice(0, 12);
}

/** The environment to build in; an older Go fetches the one that go.mod names by itself. */
function goEnvironment() {
  let version;
  try {
    version = execFileSync("go", ["env", "GOVERSION"], { encoding: "utf8", cwd: "/" }).trim();
  } catch {
    return fail(
      3,
      "Go is not installed: Istio's own validators are Go programs (https://go.dev/dl)",
    );
  }
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  if (Number(major) === 1 && Number(minor) < 21) {
    return fail(3, `${version} is too old to build Istio: 1.26 is needed, 1.21 can fetch it`);
  }
  // A compiler that ends after seconds need not collect its garbage, unless it has much.
  const memory = { GOGC: "off", GOMEMLIMIT: "1500MiB" };
  const env = { ...memory, ...process.env, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false" };
  return Number(minor) < 26 ? { ...env, GOTOOLCHAIN: "auto" } : env;
}

/** One build of a program at a time, also over several test workers. */
function lock(/** @type {string} */ file) {
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch {
      if (!isHeld(file)) rmSync(file, { force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    }
  }
}

/** Whether the process that wrote the lock still runs. */
function isHeld(/** @type {string} */ file) {
  try {
    process.kill(Number(readFileSync(file, "utf8")), 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {number} code
 * @param {string} message
 * @returns {never}
 */
function fail(code, message) {
  console.error(`error: ${message}`);
  process.exit(code);
}
