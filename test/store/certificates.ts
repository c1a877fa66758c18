import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Certificates of an authority that only the tests know. */
export interface Certificates {
  directory: string;
  ca: string;
  cert(name: string): string;
  key(name: string): string;
  remove(): void;
}

/**
 * Makes an authority, a certificate "server" for 127.0.0.1 and localhost, and
 * client certificates whose common names are those given; with openssl.
 */
export function makeCertificates(clients: readonly string[]): Certificates {
  const directory = mkdtempSync(join(tmpdir(), "weir-certificates-"));
  const at = (file: string) => join(directory, file);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl(
    ...["req", "-x509", ...fresh, "-keyout", at("ca.key"), "-out", at("ca.pem")],
    ...["-days", "2", "-subj", "/CN=test authority"],
  );
  for (const name of ["server", ...clients]) {
    const extensions = at(`${name}.ext`);
    writeFileSync(
      extensions,
      name === "server"
        ? "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n"
        : `subjectAltName=DNS:${name}\nextendedKeyUsage=clientAuth\n`,
    );
    openssl(
      ...["req", ...fresh, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`)],
      ...["-subj", `/CN=${name}`],
    );
    openssl(
      ...["x509", "-req", "-in", at(`${name}.csr`), "-CA", at("ca.pem"), "-CAkey", at("ca.key")],
      ...["-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", at(`${name}.pem`)],
    );
  }
  return {
    directory,
    ca: at("ca.pem"),
    cert: (name) => at(`${name}.pem`),
    key: (name) => at(`${name}.key`),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
