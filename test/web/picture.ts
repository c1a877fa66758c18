import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Page } from "playwright-core";

/**
 * Where pictures of the page are kept to be looked at, if anywhere. `npm run pictures`
 * takes those of the documents anew.
 */
const folder = process.env.WEIR_PICTURES;
/** Pictures that the documents show; the others are only taken to be looked at. */
const only = process.env.WEIR_PICTURES_ONLY?.split(",");

const keyword = "weir-page";
const source = "control/web/static";

/** Takes a picture that says of which page it is. */
export async function takePicture(page: Page, name: string, fullPage = true): Promise<void> {
  if (folder === undefined || (only && !only.includes(name))) return;
  mkdirSync(folder, { recursive: true });
  const png = await page.screenshot({ fullPage });
  writeFileSync(join(folder, `${name}.png`), withText(png, keyword, digestOfPage()));
}

/** Digest of the page's sources: a picture with another one is of another page. */
export function digestOfPage(): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(source).sort())
    hash.update(`${name}\0`).update(readFileSync(join(source, name)));
  return hash.digest("hex");
}

/** Of which page a picture is; undefined when it does not say. */
export function pageOfPicture(path: string): string | undefined {
  const png = readFileSync(path);
  for (let at = signatureBytes; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const text = png.toString("latin1", at + 8, at + 8 + png.readUInt32BE(at));
    if (png.toString("latin1", at + 4, at + 8) === "tEXt" && text.startsWith(`${keyword}\0`))
      return text.slice(keyword.length + 1);
  }
  return undefined;
}

const signatureBytes = 8;
/** Signature and IHDR, which comes first. */
const headBytes = signatureBytes + 25;

/** A PNG with a tEXt chunk (PNG specification, 11.3.3.2) behind its header. */
function withText(png: Buffer, key: string, text: string): Buffer {
  const body = Buffer.from(`tEXt${key}\0${text}`, "latin1");
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(body.length - 4, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return Buffer.concat([png.subarray(0, headBytes), chunk, png.subarray(headBytes)]);
}
