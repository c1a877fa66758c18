import type { AddressCheck } from "./address.ts";
import { refused } from "./refusal.ts";

/** Bounds of a lease. The longest is also how long a control service that starts waits for pods. */
export const leaseMs = { min: 3_000, default: 10_000, max: 30_000 } as const;
const maxCapacity = 1_000;
const maxInstance = 64;

/** What a pod registers, as it is asked for; 0 and undefined are defaults. */
export interface Asked {
  address: string;
  instance: string;
  capacity: number;
  leaseMs: number | undefined;
}

/** What a pod registers. */
export interface Registering {
  address: string;
  instance: string;
  capacity: number;
  leaseMs: number;
}

/** Checks the numbers and texts of a registration. @throws RefusedError */
export function readAsked(asked: Asked, checkAddress: AddressCheck): Registering {
  const { address, instance, capacity, leaseMs: askedMs = leaseMs.default } = asked;
  const problem = checkAddress(address);
  if (problem) throw refused(problem.code, "invalid", "address", problem.message);
  if (!/^[A-Za-z0-9._-]+$/.test(instance) || instance.length > maxInstance)
    throw refused(
      "bad-instance",
      "invalid",
      "instance",
      `instance must be 1 to ${maxInstance} letters, digits and "._-"`,
    );
  if (!(capacity <= maxCapacity))
    throw refused(
      "bad-capacity",
      "invalid",
      "capacity",
      `capacity ${capacity} must be from 1 to ${maxCapacity}`,
    );
  if (!(askedMs >= leaseMs.min && askedMs <= leaseMs.max))
    throw refused(
      "bad-lease",
      "invalid",
      "lease",
      `lease ${askedMs / 1000} s must be from ${leaseMs.min / 1000} s to ${leaseMs.max / 1000} s`,
    );
  return { address, instance, capacity: capacity || 1, leaseMs: Math.round(askedMs) };
}
