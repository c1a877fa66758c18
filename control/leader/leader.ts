/** What one replica may do for all of them while it leads. */
export interface Leadership {
  /** Goes into the author of every write made as the leader; grows with each leadership. */
  fence: bigint;
}

/** Which of several replicas acts for all. At most one does at any moment. */
export interface Leader {
  /**
   * The leadership of this replica, while it is sure to have it: it ends by this
   * process's own clock before another replica can take it, also when nothing can be reached.
   */
  current(): Leadership | undefined;
  /** Name of the replica that leads, as far as this one knows. */
  holder(): string | undefined;
  /** Calls back after this replica started or stopped to lead. */
  onChange(listener: () => void): () => void;
  /** Gives the lead away at once and stops to ask for it. */
  close(): Promise<void>;
}

/** A lease somewhere that one of several can hold: all that a kind of election has to bring. */
export interface Lease {
  /**
   * Takes the lease where it is free.
   * @returns a number that is higher than that of every holder before, or who holds it ("": not known)
   */
  take(): Promise<{ fence: bigint } | { holder: string }>;
  /** Holds the lease for another term from now; false when it is not this replica's any more. */
  renew(): Promise<boolean>;
  /** Lets it go. */
  release(): Promise<void>;
}

/** How long a lease lasts after it was taken or renewed, and how it is watched over. */
export interface Term {
  ttlMs: number;
  /** A clock that never jumps. */
  monotonicMs?: () => number;
}

/** The leader of a store that only one process can open: that process. */
export function createSoleLeader(name: string): Leader {
  return {
    current: () => ({ fence: 0n }),
    holder: () => name,
    onChange: () => () => {},
    async close() {},
  };
}
