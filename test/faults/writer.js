// Writes to lmdb stores, to each by itself, until it is killed, and says what was
// acknowledged: "store route etag count", only after the write's promise resolved.
// Arguments: for each store its directory and the number that it begins to count at.
import { writeSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { RouteStateSchema } from "#control/gen/weir/v1/service_pb.js";
import { createLmdbStore } from "#control/store/lmdb/lmdb.js";

const author = { principal: "writer", reason: "kill" };

/** @param {string} directory @param {number} first @param {number} number */
async function write(directory, first, number) {
  const store = createLmdbStore(directory);
  for (let i = first; ; i++) {
    const name = `n/r${i % 5}`;
    const { buckets } = create(RouteStateSchema, { buckets: [{ variant: "v", count: i }] });
    const draft = { route: undefined, buckets };
    try {
      const { etag } = await store.put(name, /** @type {any} */ (draft), "", "shift", author);
      writeSync(1, `${number} ${name} ${etag} ${i}\n`);
    } catch (error) {
      writeSync(1, `refused ${error instanceof Error ? error.message : error}\n`);
      if (!process.env.UNTIL_REFUSED) continue;
      const { routes } = await store.list();
      const entries = await store.audit("", 1_000_000);
      writeSync(1, `read ${routes.length} routes and ${entries.length} changes\n`);
      break;
    }
  }
  await store.close();
}

const stores = process.argv.slice(2);
const writing = [];
for (let at = 0; at < stores.length; at += 2)
  writing.push(write(stores[at] ?? "", Number(stores[at + 1]), at / 2));
await Promise.all(writing);
