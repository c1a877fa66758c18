// Writes to an lmdb store until it is killed, and says what was acknowledged:
// one line per write, "route etag weight", only after the write's promise resolved.
import { writeSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { RouteStateSchema } from "../../dist/control/gen/weir/v1/service_pb.js";
import { openStore } from "../../dist/control/store/index.js";

const [, , address = "", firstText = "0"] = process.argv;
const store = openStore(address);
writeSync(1, "open\n");
const author = { principal: "writer", reason: "kill" };
for (let i = Number(firstText); ; i++) {
  const name = `n/r${i % 5}`;
  const { buckets } = create(RouteStateSchema, { buckets: [{ variant: "v", count: i }] });
  const draft = { route: undefined, buckets };
  try {
    const { etag } = await store.put(name, /** @type {any} */ (draft), "", "shift", author);
    writeSync(1, `${name} ${etag} ${i}\n`);
  } catch (error) {
    writeSync(1, `refused ${error instanceof Error ? error.message : error}\n`);
    if (process.env.UNTIL_REFUSED) break;
  }
}
await store.close();
