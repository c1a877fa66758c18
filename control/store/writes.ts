import type { RolloutState } from "../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { type Change, deleteChange, putChange, rolloutChange, type Stored } from "./change.ts";
import type { Store } from "./store.ts";

/**
 * Makes one write of a store: it hands over what is stored under the name and the number of the
 * write, and stores the change that comes back. It may do so again where another write came first.
 */
export type Write = (
  name: string,
  make: (stored: Stored, sequence: bigint) => Change,
) => Change | Promise<Change>;

/** The writing half of a store, which is the same for all of them. */
export function createWrites(
  write: Write,
  now: () => Date,
): Pick<Store, "put" | "delete" | "putRollout"> {
  return {
    async put(name, draft, etag, action, author) {
      const { state } = await write(name, (stored, sequence) =>
        putChange({ name, stored, sequence, author, now: now() }, draft, etag, action),
      );
      return state as RouteState;
    },
    async delete(name, etag, author) {
      const { entry } = await write(name, (stored, sequence) =>
        deleteChange({ name, stored, sequence, author, now: now() }, etag),
      );
      return entry.before as RouteState;
    },
    async putRollout(name, given, action, author) {
      const { rollout, state } = await write(name, (stored, sequence) =>
        rolloutChange({ name, stored, sequence, author, now: now() }, given, action),
      );
      return { rollout: rollout as RolloutState, ...(state ? { route: state } : {}) };
    },
  };
}
