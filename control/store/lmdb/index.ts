export { createLmdbStore } from "./lmdb.ts";
