import { randomBytes } from "node:crypto";
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { roles, sha256Hex } from "../../auth/index.ts";
import { filled } from "../flags.ts";
import { print } from "../output.ts";

interface TokenFlags {
  role: string;
  namespace?: string[];
  node?: string[];
}

const collect = (value: string, before: string[] | undefined) => [...(before ?? []), value];

export function addToken(program: Command): void {
  program
    .command("token")
    .argument("<name>", "who the token is for; the audit names it", (text) => filled(text, 1024))
    .summary("make a bearer token and its entry for an access file")
    .description(
      "Prints a new token on standard output and, on standard error, the entry that lets it in. The entry holds only the token's SHA-256.",
    )
    .addOption(new Option("--role <role>", "what it may do").choices(roles).default("viewer"))
    .option("--namespace <name>", "where; may be repeated (default: everywhere)", collect)
    .option("--node <id>", "role proxy: which nodes, e.g. edge-*; may be repeated", collect)
    .addHelpText(
      "after",
      "\nExample:\n  weir token ada --role operator --namespace inference 2> entry.yaml > ada.token",
    )
    .action((name: string, { role, namespace, node }: TokenFlags) => {
      const token = randomBytes(32).toString("base64url");
      const rule = {
        name,
        sha256: sha256Hex(token),
        role,
        ...(namespace ? { namespaces: namespace } : {}),
        ...(node ? { nodes: node } : {}),
      };
      process.stderr.write(stringify({ tokens: [rule] }));
      print(token);
    });
}
