import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const staticDir = fileURLToPath(new URL("./static/", import.meta.url));
const require = createRequire(import.meta.url);

/** Libraries served as their packages ship them: bare import -> file below node_modules. */
const libraries: Record<string, string> = {
  preact: "preact/dist/preact.mjs",
  "preact/hooks": "preact/hooks/dist/hooks.mjs",
  htm: "htm/dist/htm.mjs",
  uplot: "uplot/dist/uPlot.esm.js",
};
const libraryStyles: Record<string, string> = { "/lib/uplot.css": "uplot/dist/uPlot.min.css" };

const contentTypes: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
};

interface Page {
  body: Buffer;
  contentType: string;
  etag: string;
}

/**
 * Serves the dashboard's static files. All of them are read once, at start.
 *
 * The returned function answers GET and HEAD for the paths it knows and returns
 * false for everything else, so that the caller goes on to the API.
 */
export function createPages(): (req: IncomingMessage, res: ServerResponse) => boolean {
  const importMap = JSON.stringify({
    imports: Object.fromEntries(Object.keys(libraries).map((name) => [name, libraryPath(name)])),
  });
  const pages = new Map<string, Page>();
  // A closed list, read once: no request names a file.
  const ownFiles = readdirSync(staticDir).filter((name) => extname(name) in contentTypes);
  for (const name of ownFiles) pages.set(`/${name}`, page(join(staticDir, name), importMap));
  for (const [name, file] of Object.entries(libraries))
    pages.set(libraryPath(name), page(findInPackages(file), importMap));
  for (const [path, file] of Object.entries(libraryStyles))
    pages.set(path, page(findInPackages(file), importMap));
  const index = pages.get("/index.html");
  if (index) pages.set("/", index);
  const policy = contentSecurityPolicy(importMap);

  return (req, res) => {
    if (req.method !== "GET" && req.method !== "HEAD") return false;
    const found = pages.get((req.url ?? "").split("?", 1)[0] ?? "");
    if (!found) return false;
    const headers = {
      "content-type": found.contentType,
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache",
      etag: found.etag,
    };
    if (req.headers["if-none-match"] === found.etag) {
      res.writeHead(304, headers).end();
      return true;
    }
    res.writeHead(200, { ...headers, "content-length": found.body.length });
    res.end(req.method === "HEAD" ? undefined : found.body);
    return true;
  };
}

/** Looks where Node would look for a package; the packages' export maps hide these files from import itself. */
function findInPackages(file: string): string {
  const places = (require.resolve.paths(file) ?? []).map((place) => join(place, file));
  const found = places.find((place) => existsSync(place));
  if (!found) throw new Error(`${file} is not installed: run npm ci`);
  return found;
}

function libraryPath(name: string): string {
  return `/lib/${name.replace("/", "-")}.js`;
}

function page(path: string, importMap: string): Page {
  const raw = readFileSync(path);
  const body = path.endsWith(".html")
    ? Buffer.from(raw.toString("utf8").replace("__IMPORT_MAP__", importMap))
    : raw;
  const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
  return { body, contentType: contentTypes[extname(path)] ?? "application/octet-stream", etag };
}

/** Nothing but the page's own files; the import map is the one inline script, named by its hash. */
function contentSecurityPolicy(importMap: string): string {
  const hash = createHash("sha256").update(importMap).digest("base64");
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self' 'unsafe-inline'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
