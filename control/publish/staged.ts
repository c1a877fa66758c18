import {
  type Fleet,
  type Member,
  type Refusal,
  type ResourceType,
  resourceTypes,
  type Snapshot,
  type XdsServer,
} from "../xds/index.ts";
import { minRefusing, refusalOf, runs, type Sendable, takes } from "./trial.ts";

/** A new edition for the proxies of one scope. */
export interface Push<E extends Sendable> {
  scope: readonly string[];
  edition: E;
  /** False: to all at once, as what leads back to what ran before. */
  tried: boolean;
}

/**
 * Sends editions canary-wise, each scope for itself: to one proxy, and to all
 * others of the scope once that one runs it.
 */
export interface StagedPush<E extends Sendable> {
  /**
   * What leads back takes the place of all that is under way in its scope. Any other
   * edition waits for the one that is being tried, so that changes that come faster
   * than a slow proxy answers still reach the others; of those that wait the newest is tried.
   */
  push(pushes: readonly Push<E>[]): void;
  /** Sends every edition as it is now: only what no proxy could refuse may have changed in it. */
  refresh(now: (edition: E) => E): void;
  /** What the proxies of a scope run or should run by now; undefined for a scope that none has. */
  settled(scope: readonly string[]): E | undefined;
  /** The same, or what one of them is trying, or what waits for its turn. */
  newest(scope: readonly string[]): E | undefined;
  /** Forgets a scope that has no proxy; one that comes begins with the initial edition. */
  forget(scope: readonly string[]): void;
  close(): void;
}

export interface StagedPushOptions<E extends Sendable> {
  /** A proxy that says nothing for this long is passed over, and the next one is first. */
  silentMs: number;
  /** What the first proxy of a scope is sent that no proxy had until now. */
  initial(scope: readonly string[]): E;
  /** An edition that waited, made again: other things run by now than when it was made. */
  renew(scope: readonly string[], waiting: E, settled: E): E;
  /** An edition is for all proxies of its scope now, in the place of the one before. */
  onSettled(scope: readonly string[], edition: E, before: E | undefined): void;
  /** The proxy that tried an edition refused what is new in it; all of its scope go on with the one before. */
  onRefusal(scope: readonly string[], refusal: Refusal, edition: E): void;
  /** A first proxy was passed over. */
  onSilence(node: string): void;
}

/** How far a scope is. */
interface ScopePush<E> {
  scope: readonly string[];
  settled: E;
  trial?: Trial<E>;
  /** The newest that came while another was tried. */
  waiting?: E;
}

interface Trial<E> {
  edition: E;
  changed: readonly ResourceType[];
  /** Undefined: no proxy could be first, all of them were sent it. */
  first: Member | undefined;
  judges: readonly Member[];
  /** Proxies that were first and left. */
  passedOver: Set<Member>;
  timer?: NodeJS.Timeout;
  /** Whoever has not answered yet is not waited for any more. */
  overdue?: boolean;
}

/** Makes what sends an edition to one proxy of its scope first, and to the others when that one runs it. */
export function createStagedPush<E extends Sendable>(
  xds: XdsServer,
  fleet: Fleet,
  { silentMs, initial, renew, onSettled, onRefusal, onSilence }: StagedPushOptions<E>,
): StagedPush<E> {
  const lanes = new Map<string, ScopePush<E>>();
  /** How many answers a proxy had given when it was passed over: it is not first until it gives another. */
  const silent = new WeakMap<Member, number>();
  /** Refusals that were known before an edition was sent; they are reported in a later turn. */
  const known = new Set<NodeJS.Immediate>();
  const stopListening = fleet.onChange(look);

  function snapshotOf(scope: readonly string[], node: string): Snapshot {
    const lane = laneOf(scope);
    const { trial } = lane;
    const tries = trial && (trial.first === undefined || trial.first.node === node);
    return (tries ? trial.edition : lane.settled).snapshot;
  }

  function laneOf(scope: readonly string[]): ScopePush<E> {
    const key = scope.join();
    let lane = lanes.get(key);
    if (lane === undefined) {
      lane = { scope, settled: initial(scope) };
      lanes.set(key, lane);
    }
    return lane;
  }

  function membersOf({ scope }: ScopePush<E>): Member[] {
    const key = scope.join();
    return fleet.members().filter((member) => member.scope.join() === key);
  }

  function end(lane: ScopePush<E>): void {
    clearTimeout(lane.trial?.timer);
    delete lane.trial;
  }

  function settle(lane: ScopePush<E>, edition: E): void {
    end(lane);
    const before = lane.settled;
    lane.settled = edition;
    onSettled(lane.scope, edition, before);
  }

  /** The turn of what waited while another was tried. */
  function next(lane: ScopePush<E>): void {
    const { waiting, scope, settled } = lane;
    delete lane.waiting;
    if (waiting) begin(lane, renew(scope, waiting, settled), new Set());
  }

  function begin(lane: ScopePush<E>, edition: E, passedOver: Set<Member>): void {
    end(lane);
    const changed = resourceTypes.filter(
      ({ name }) => lane.settled.snapshot[name].version !== edition.snapshot[name].version,
    );
    const asking = membersOf(lane).filter((member) =>
      changed.some(({ name }) => member.answer(name, "").state !== "unasked"),
    );
    if (asking.length === 0) {
      settle(lane, edition);
      return;
    }
    const able = asking.filter(
      (member) =>
        !passedOver.has(member) &&
        silent.get(member) !== member.answers() &&
        // Only a proxy that runs the present state can prove anything about the new one.
        runs(member, lane.settled.snapshot),
    );
    const first = minRefusing(able);
    const judges = first ? [first] : asking;
    const trial: Trial<E> = {
      edition,
      changed,
      first,
      judges,
      passedOver,
    };
    trial.timer = setTimeout(() => {
      if (first === undefined) {
        trial.overdue = true;
        look();
        return;
      }
      silent.set(first, first.answers());
      onSilence(first.node);
      again(lane, trial);
      send();
    }, silentMs);
    trial.timer.unref();
    lane.trial = trial;
    // It may run it already, or have refused it: then nothing is sent, and no answer comes.
    judge(lane, trial, tellLater);
  }

  /** What is told causes the next push, which may be refused already as well: no push is made within another. */
  function tellLater(...told: Parameters<typeof onRefusal>): void {
    const turn = setImmediate(() => {
      known.delete(turn);
      onRefusal(...told);
    });
    known.add(turn);
  }

  /** Ends a trial that is decided; false when it goes on. */
  function judge(lane: ScopePush<E>, trial: Trial<E>, tell: typeof onRefusal): boolean {
    const { edition, changed, first, judges, passedOver } = trial;
    const there = judges.filter((member) => member.isConnected());
    // Where all were sent it, anyone's yes will do, also that of one who came later.
    if ((first ? there : membersOf(lane)).some((member) => takes(member, changed, edition))) {
      settle(lane, edition);
      next(lane);
      return true;
    }
    if (there.length === 0) {
      if (first) {
        passedOver.add(first);
        again(lane, trial);
      } else {
        settle(lane, edition);
        next(lane);
      }
      return true;
    }
    const refusals = there.map((member) => refusalOf(member, changed, edition));
    const refusal = refusals.find((each) => each !== undefined);
    if (refusal === undefined) return false;
    // Where all were sent it, one that refuses whatever it is sent must not be faster than one that does not.
    if (!trial.overdue && refusals.includes(undefined)) return false;
    end(lane);
    // The listener builds all newer editions again, without the rejected one.
    delete lane.waiting;
    tell(lane.scope, refusal, edition);
    return true;
  }

  /** Tries with another proxy, and the newest at once. */
  function again(lane: ScopePush<E>, { edition, passedOver }: Trial<E>): void {
    const { waiting } = lane;
    delete lane.waiting;
    begin(lane, waiting ?? edition, passedOver);
  }

  /** Something in the fleet changed: perhaps one that tries an edition answered, or went away. */
  function look(): void {
    let decided = false;
    for (const lane of [...lanes.values()])
      if (lane.trial && judge(lane, lane.trial, onRefusal)) decided = true;
    if (decided) send();
  }

  const send = () => xds.publish(snapshotOf);

  return {
    push(pushes) {
      for (const { scope, edition, tried } of pushes) {
        const key = scope.join();
        const lane = lanes.get(key);
        if (lane === undefined) {
          lanes.set(key, { scope, settled: edition });
          onSettled(scope, edition, undefined);
        } else if (!tried) {
          delete lane.waiting;
          settle(lane, edition);
        } else if (lane.trial?.first) lane.waiting = edition;
        else begin(lane, edition, new Set());
      }
      send();
    },
    refresh(now) {
      for (const lane of lanes.values()) {
        lane.settled = now(lane.settled);
        if (lane.waiting) lane.waiting = now(lane.waiting);
        if (lane.trial) lane.trial.edition = now(lane.trial.edition);
      }
      send();
    },
    settled: (scope) => lanes.get(scope.join())?.settled,
    newest(scope) {
      const lane = lanes.get(scope.join());
      return lane?.waiting ?? lane?.trial?.edition ?? lane?.settled;
    },
    forget(scope) {
      const lane = lanes.get(scope.join());
      if (lane === undefined) return;
      end(lane);
      lanes.delete(scope.join());
    },
    close() {
      for (const lane of lanes.values()) end(lane);
      for (const turn of known) clearImmediate(turn);
      stopListening();
    },
  };
}
