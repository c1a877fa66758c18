// Writes where the filters come from (build/provenance.json, an in-toto statement with
// SLSA's predicate) and what the package runs with (build/sbom.json, CycloneDX). The same
// sources give the same bytes: no times, no paths, no machine in them.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { filesBelow } from "./sources.js";

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const { name, version, repository } = JSON.parse(readFileSync("package.json", "utf8"));
/** What turns sources into modules. */
const tools = ["assemblyscript", "binaryen"];

write("build/provenance.json", provenance());
write("build/sbom.json", bill());

function provenance() {
  /** @type {Record<string, { sha256: string }>} */
  const filters = JSON.parse(readFileSync("build/filters.json", "utf8"));
  const commit = git("rev-parse", "HEAD");
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: Object.entries(filters).map(([filter, { sha256 }]) => ({
      name: `${filter}.wasm`,
      digest: { sha256 },
    })),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "https://weir.dev/build/filters/v1",
        externalParameters: { command: "npm run build:filters" },
        resolvedDependencies: [
          {
            name: "filters",
            ...(repository ? { uri: repository.url } : {}),
            digest: {
              // Of the sources themselves: it also holds where there is no repository.
              sha256: digestOf("filters"),
              ...(commit ? { gitCommit: commit } : {}),
            },
            annotations: { changedSinceCommit: changed() },
          },
          ...tools.map((tool) => ({
            uri: `pkg:npm/${tool}@${locked(tool).version}`,
            digest: { sha512: hexOf(locked(tool).integrity) },
          })),
        ],
      },
      runDetails: {
        builder: { id: "https://weir.dev/build/local/v1", version: { [name]: version } },
      },
    },
  };
}

/** Packages that are installed with this one, from the lock file. */
function bill() {
  const components = Object.entries(lock.packages)
    .filter(([path, each]) => path !== "" && !each.dev && !each.devOptional)
    .map(([path, each]) => {
      const package_ = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      const purl = `pkg:npm/${package_.replace("@", "%40")}@${each.version}`;
      return {
        type: "library",
        "bom-ref": `${purl}#${path}`,
        name: package_,
        version: each.version,
        purl,
        scope: each.optional ? "optional" : "required",
        ...(each.license ? { licenses: [{ expression: each.license }] } : {}),
        // Packages for other platforms are locked without one.
        ...(each.integrity ? { hashes: [{ alg: "SHA-512", content: hexOf(each.integrity) }] } : {}),
      };
    });
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": `pkg:npm/${name}@${version}`,
        name,
        version,
        purl: `pkg:npm/${name}@${version}`,
      },
    },
    components,
  };
}

/** @param {string} package_ */
function locked(package_) {
  return lock.packages[`node_modules/${package_}`];
}

/** Hexadecimal of the digest in an integrity of npm's. @param {string} integrity */
function hexOf(integrity) {
  return Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
}

/** SHA-256 over the paths and contents of a folder. @param {string} folder */
function digestOf(folder) {
  const hash = createHash("sha256");
  for (const path of filesBelow(folder).sort()) hash.update(`${path}\0`).update(readFileSync(path));
  return hash.digest("hex");
}

/** Whether the filters differ from the commit; unknown without a repository. */
function changed() {
  const status = git("status", "--porcelain", "--", "filters", "asconfig.json", "tools");
  return status === undefined ? "unknown" : status !== "";
}

/** @param {string[]} args */
function git(...args) {
  try {
    return execFileSync("git", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    // A package or an archive of the sources has no repository.
    return undefined;
  }
}

/** @param {string} path @param {object} content */
function write(path, content) {
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
}
