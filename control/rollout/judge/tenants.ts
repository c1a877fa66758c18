import { clone, create } from "@bufbuild/protobuf";
import { type Analysis, AnalysisSchema, type Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import { counterNames, type Observation, totalOf, without } from "../../report/index.ts";
import { tenantMetrics } from "./checks.ts";
import { fewest, type Window } from "./compare.ts";
import { hangsAmong, waits } from "./hangs.ts";
import { failsAt, judge, passesAt } from "./judge.ts";
import { messageOf } from "./verdict-message.ts";

/** The tenants for whom the canary is worse than for other tenants. */
export interface TenantVerdicts {
  /** Whom to pin to the stable variant now, with what is worse. */
  worse: readonly Verdict[];
  /** Set where pinning does not help: more would have to be than may. */
  tooMany?: string;
  /** What speaks against the canary for some tenant, the clearest first; not all of it decides. */
  suspects: readonly Verdict[];
}

/** One tenant's part of what was measured. */
export interface TenantWindow extends Window {
  /** All that is known of its answers from the stable variant, from before the step as well. */
  stableEver: Observation;
}

/** What tenants are judged by. */
export interface TenantFacts {
  analysis: Analysis | undefined;
  /** What users of all tenants got. */
  window: Window;
  tenants: ReadonlyMap<string, TenantWindow>;
  /** The verdicts for such a window as a whole. */
  judged(window: Window): Verdict[];
  /** Whether a check counts at this stage. */
  counts(verdict: Verdict): boolean;
  /** Tenants that this rollout has pinned so far. */
  pinned: number;
  /** Since when is counted, in ms. */
  countedMs: number;
}

export const noTenants: TenantVerdicts = { worse: [], suspects: [] };

const defaultMaxPinned = 8;
/** Evidence from which a tenant may be what is wrong, where something is. */
const suspectAt = passesAt;
const maxShown = 5;

/**
 * Looks for tenants for whom alone the canary is worse.
 *
 * A tenant is pinned from evidence of 10,000 to 1 times the number of tenants: all
 * together raise no more false alarms than one check of the whole does. Where the
 * canary as a whole fails already, something is wrong for certain; then suspicion is
 * enough, if without those tenants nothing speaks against the canary. Tenants that have
 * more than half of the canary's answers are what it is judged by, and never pinned.
 */
export function tenantsIn(facts: TenantFacts): TenantVerdicts {
  const { analysis, window, tenants, judged, pinned } = facts;
  const maxPinned = analysis?.maxPinnedTenants ?? defaultMaxPinned;
  if (maxPinned === 0 || tenants.size === 0) return noTenants;
  const suspects = [...tenants]
    .flatMap(([tenant, each]) => worstOf(facts, tenant, each) ?? [])
    .filter(({ against }) => against >= suspectAt)
    .sort((a, b) => b.against - a.against);
  const room = Math.max(0, maxPinned - pinned);
  const found = judged(window).some(({ outcome }) => outcome === "fail")
    ? toBlame(facts, suspects.slice(0, room))
    : suspects.filter(
        ({ against, canarySample }) => against >= failsAt * tenants.size && canarySample >= fewest,
      );
  const worse = isLesserPart(facts, found) ? found : [];
  for (const each of worse) {
    each.outcome = "fail";
    each.message = messageFor(each);
  }
  const names = worse.map(({ tenant }) => tenant).join(", ");
  return {
    worse,
    suspects: suspects.slice(0, maxShown),
    ...(worse.length > room
      ? {
          tooMany: `more tenants get worse results than maxPinnedTenants ${maxPinned} allows to pin, now ${names}: ${worse[0]?.message}`,
        }
      : {}),
  };
}

/** The check that speaks most against the canary for a tenant. */
function worstOf(
  { analysis, counts }: TenantFacts,
  tenant: string,
  { canary, stable, stableEver }: TenantWindow,
): Verdict | undefined {
  // Where one tenant's users all go one way together, there is no other side in the same
  // window: then what it got before serves for counts, which do not go by the hour as times do.
  const alone = totalOf(stable, counterNames.responses) < fewest;
  const base = alone ? { ...stableEver, distributions: new Map() } : stable;
  const [worst] = judge(ownAnalysis(analysis), { canary, stable: base }, [])
    .filter((each) => counts(each) && each.stableSample >= fewest)
    .sort((a, b) => b.against - a.against);
  if (worst === undefined) return undefined;
  worst.tenant = tenant;
  worst.message = messageFor(worst);
  return worst;
}

/** The checks that a tenant is measured for; the success rate always is. */
function ownAnalysis(analysis: Analysis | undefined): Analysis {
  if (analysis === undefined) return create(AnalysisSchema);
  const own = clone(AnalysisSchema, analysis);
  own.checks = own.checks.filter(({ metric }) => tenantMetrics.has(metric));
  if (own.checks.length === 0 && analysis.checks.length > 0)
    own.checks = create(AnalysisSchema, { checks: [{ metric: "success-rate" }] }).checks;
  return own;
}

/** Proxies tell of tenants up to a report later than of the whole; by then that is a small part. */
const youngMs = 5_000;

function isLesserPart(
  { window, tenants, countedMs }: TenantFacts,
  verdicts: readonly Verdict[],
): boolean {
  // Where all hang there is no answer: those that wait count as well.
  const answers = (side: Observation | undefined) => (side ? hangsAmong(side, waits[0]).trials : 0);
  const sum = (counts: readonly number[]) => counts.reduce((all, each) => all + each, 0);
  const theirs = sum(verdicts.map(({ tenant }) => answers(tenants.get(tenant)?.canary)));
  const all = answers(window.canary);
  // Until then one who has all answers would look like one of many: tenants are held against each other.
  const told = sum([...tenants.values()].map(({ canary }) => answers(canary)));
  return theirs > 0 && 2 * theirs <= (countedMs < youngMs ? Math.min(all, told) : all);
}

/** The fewest of the suspects without whom nothing speaks against the canary; none where all of them are not enough. */
function toBlame(
  { window, tenants, judged }: TenantFacts,
  suspects: readonly Verdict[],
): Verdict[] {
  const blamed: TenantWindow[] = [];
  for (const { tenant } of suspects) {
    blamed.push(tenants.get(tenant) as TenantWindow);
    const rest = {
      canary: without(
        window.canary,
        blamed.map(({ canary }) => canary),
      ),
      stable: without(
        window.stable,
        blamed.map(({ stable }) => stable),
      ),
    };
    if (judged(rest).every(({ against }) => against < suspectAt))
      return suspects.slice(0, blamed.length);
  }
  return [];
}

function messageFor(verdict: Verdict): string {
  return `tenant ${verdict.tenant}: ${messageOf(verdict, fewest)}`;
}
