/** Whether the counters follow the weights. */
export interface ShareAgreement {
  agrees: boolean;
  /** Percent of the requests that went to the canary. */
  seen: number;
  /** Percent that may lie between them by chance. */
  band: number;
  requests: number;
}

/** Standard deviations of the band: a right split leaves it once in 15,000 looks. */
const z = 4;
/** Minimum number of users for judging a split. */
const minUsers = 30;

/**
 * Compares the share of the requests that a variant got with its weight, inside a
 * binomial band. Requests of one user go one way together, so users are what
 * counts: `requestsPerUser` divides the sample.
 *
 * @param weight percent
 * @param side "least" where more than the weight is right, because callers may force the variant
 */
export function agrees(
  weight: number,
  canary: number,
  all: number,
  requestsPerUser: number,
  side: "both" | "least" = "both",
): ShareAgreement {
  const users = all / requestsPerUser;
  const share = weight / 100;
  const seen = all > 0 ? (100 * canary) / all : 0;
  if (users < minUsers) return { agrees: true, seen, band: 100, requests: all };
  // The half keeps a weight of 0 or 100 from having no band at all.
  const band = 100 * (z * Math.sqrt((share * (1 - share)) / users) + 0.5 / users);
  const off = seen - weight;
  return {
    agrees: side === "least" ? off >= -band : Math.abs(off) <= band,
    seen,
    band,
    requests: all,
  };
}
