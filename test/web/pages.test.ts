import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createPages } from "../../control/web/pages.ts";

let server: Server;
let base: string;

beforeAll(async () => {
  const pages = createPages();
  server = createServer((req, res) => {
    if (!pages(req, res)) res.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

it("serves every module that the page imports, directly or through the import map", async () => {
  const index = await (await fetch(`${base}/`)).text();
  const map = JSON.parse(/<script type="importmap">(.*)<\/script>/.exec(index)?.[1] ?? "") as {
    imports: Record<string, string>;
  };
  const seen = new Set<string>();
  const queue = ["/app.js"];
  for (let path = queue.pop(); path; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const response = await fetch(base + path);
    expect(response.status, path).toBe(200);
    expect(response.headers.get("content-type")).toContain("text/javascript");
    // Comments import types, of sources that are not served.
    const code = (await response.text()).replaceAll(/\/\*\*.*?\*\//gs, "");
    for (const [, name = ""] of code.matchAll(/(?:from|import) ?"([\w./@-]+)"/g))
      queue.push(
        name.startsWith(".") ? name.slice(1) : (map.imports[name] ?? `no import "${name}"`),
      );
  }
  expect(seen.size).toBeGreaterThan(8);
});

it("allows no script but its own", async () => {
  const policy = (await fetch(`${base}/`)).headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toMatch(/script-src 'self' 'sha256-[^']+'/);
});

it.each(["/../package.json", "/static/app.js", "/%2e%2e/pages.ts", "/lib/nope.js"])(
  "knows nothing of %s",
  async (path) => {
    expect((await fetch(base + path)).status).toBe(404);
  },
);

it("answers an unchanged file with 304", async () => {
  const first = await fetch(`${base}/style.css`);
  const again = await fetch(`${base}/style.css`, {
    headers: { "if-none-match": first.headers.get("etag") ?? "" },
  });
  expect(again.status).toBe(304);
});
