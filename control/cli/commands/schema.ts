import type { Command } from "commander";
import { print } from "../output.ts";

export function addSchema(program: Command): void {
  program
    .command("schema")
    .summary("print the JSON Schema of route documents")
    .description(
      "Prints the JSON Schema of route documents, for editors. It is made from the same source as the checks.",
    )
    .addHelpText(
      "after",
      "\nExample:\n  weir schema > inference-route.schema.json\n  # and as the first line of a route: # yaml-language-server: $schema=inference-route.schema.json",
    )
    .action(async () => {
      const { editorSchema } = await import("../../route/document/editor-schema.ts");
      print(JSON.stringify(editorSchema(), null, 2));
    });
}
