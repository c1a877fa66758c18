import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

interface Locked {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  license?: string;
  engines?: { node?: string };
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  hasInstallScript?: boolean;
  os?: string[];
  cpu?: string[];
}

const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  packages: Record<string, Locked>;
};
const own = JSON.parse(readFileSync("package.json", "utf8")) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  allowScripts: Record<string, boolean>;
};
const packages = Object.entries(lock.packages)
  .filter(([path]) => path !== "")
  .map(([path, each]) => ({ name: path.split("node_modules/").at(-1) ?? path, ...each }));
const shipped = packages.filter(({ dev, devOptional }) => !dev && !devOptional);
const show = ({ name, version }: { name: string; version?: string }) => `${name}@${version}`;

/** Licences that may go into the package. */
const permissive = [
  "MIT",
  "ISC",
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
];
/** Licences that tools of the build may have besides: nothing of them is handed on. */
const forTools = [...permissive, "MPL-2.0", "CC-BY-4.0", "Python-2.0", "Unlicense"];

/** Whether one may take a package under the licences that are allowed. */
function mayTake(expression: string, allowed: readonly string[]): boolean {
  const parts = expression.replace(/[()]/g, "").trim();
  if (parts.includes(" OR ")) return parts.split(" OR ").some((each) => mayTake(each, allowed));
  return parts.split(" AND ").every((each) => allowed.includes(each.trim()));
}

/** Whether Node 20.20 is within a range such as ">=18", "^18 || >=20.1" or ">= 10.0.0". */
function takesNode20(range: string): boolean {
  return range.split("||").some((part) =>
    part
      .trim()
      .replaceAll(/([<>=^~]) +/g, "$1")
      .split(/\s+/)
      .every((each) => {
        const match = /^(>=|>|<=|<|\^|~|=)?v?(\d+|\*)(?:\.(\d+|x|\*))?/.exec(each);
        if (match === null) return false;
        const [, operator = "=", first = "", second = "0"] = match;
        if (first === "*") return true;
        const major = Number(first);
        const minor = Number(second) || 0;
        const order = 20 - major || 20 - minor;
        if (operator === ">=") return order >= 0;
        if (operator === ">") return order > 0;
        if (operator === "<") return order < 0;
        if (operator === "<=") return order <= 0;
        return major === 20 && 20 >= minor;
      }),
  );
}

describe("the dependencies, without asking anyone", () => {
  it("are pinned to one version each", () => {
    const loose = Object.entries({ ...own.dependencies, ...own.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  it("come from the registry alone, and are checked by SHA-512", () => {
    expect(
      packages
        .filter(({ resolved }) => resolved !== undefined && !resolved.startsWith("https://"))
        .map(show),
    ).toEqual([]);
    // One place, which the lock file need not name, and no repository or folder beside it.
    const origins = packages.flatMap(({ resolved }) =>
      resolved ? [new URL(resolved).origin] : [],
    );
    expect(new Set(origins).size).toBeLessThanOrEqual(1);
    expect(
      packages
        .filter(({ link, version = "" }) => link || !/^\d+\.\d+\.\d+/.test(version))
        .map(show),
    ).toEqual([]);
    expect(packages.length).toBeGreaterThan(100);
    const unchecked = packages.filter(
      ({ integrity = "" }) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity),
    );
    // Of other platforms only: what runs here and in the continuous build is checked.
    const elsewhere = unchecked.filter(
      ({ cpu = [], name, optional, os = [] }) =>
        optional && (name.endsWith("-musl") || !(os.includes("linux") && cpu.includes("x64"))),
    );
    expect(unchecked.map(show)).toEqual(elsewhere.map(show));
  });

  it("run nothing while they are installed, and npm is told so of each that would", () => {
    const scripted = packages.filter(({ hasInstallScript }) => hasInstallScript);
    expect(own.allowScripts).toEqual(Object.fromEntries(scripted.map(({ name }) => [name, false])));
  });

  it("have licences that allow their use", () => {
    expect(shipped.filter(({ license = "" }) => !mayTake(license, permissive)).map(show)).toEqual(
      [],
    );
    expect(packages.filter(({ license = "" }) => !mayTake(license, forTools)).map(show)).toEqual(
      [],
    );
  });

  it("run on Node 20", () => {
    expect(
      packages
        .filter(({ engines }) => engines?.node && !takesNode20(engines.node))
        .map(({ engines, ...each }) => `${show(each)}: ${engines?.node}`),
    ).toEqual([]);
  });
});
