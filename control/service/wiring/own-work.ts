import { variantsOf } from "../../api/index.ts";
import { expireDrills } from "../../drill/index.ts";
import type { Engine } from "../../rollout/index.ts";
import { type SignalHistory, sampleMs } from "../../signals/index.ts";
import type { Store } from "../../store/index.ts";
import type { Log } from "../../telemetry/index.ts";

/** Rollouts are looked at this often. */
const lookMs = 500;

export interface OwnWorkInputs {
  store: Store;
  rollouts: Pick<Engine, "start">;
  signals: Pick<SignalHistory, "sample">;
  log: Log;
}

/** Begins what the control service does without being asked: it walks rollouts, samples signals and ends drills. */
export function startOwnWork({ store, rollouts, signals, log }: OwnWorkInputs): { close(): void } {
  const stopRollouts = rollouts.start(lookMs);
  const sampling = setInterval(() => {
    store.list().then(
      ({ routes }) =>
        signals.sample(routes.flatMap(({ route }) => (route ? [variantsOf(route)] : []))),
      (error: unknown) => log(`could not record signals: ${error}`, "sample-failed"),
    );
  }, sampleMs);
  const drills = expireDrills(store, log);
  return {
    close() {
      stopRollouts();
      clearInterval(sampling);
      drills.close();
    },
  };
}
