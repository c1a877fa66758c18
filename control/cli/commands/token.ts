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
    .argument("<name>", "owner of the token, as the audit shows it", (text) => filled(text, 1024))
    .summary("create a bearer token and its entry for an access file")
    .description(
      "Prints a new token on standard output and its entry for the access file on standard error. The entry holds only the token's SHA-256.",
    )
    .addOption(new Option("--role <role>", "role of the token").choices(roles).default("viewer"))
    .option(
      "--namespace <name>",
      "namespace that the role is limited to; may be repeated (default: all)",
      collect,
    )
    .option("--node <id>", "node ids that a proxy may use, e.g. edge-*; may be repeated", collect)
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
