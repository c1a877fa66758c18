import { create } from "@bufbuild/protobuf";
import { type Grant, GrantSchema } from "../gen/weir/v1/peer_pb.ts";
import type { Load, ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { Lease } from "../report/index.ts";

/** What there is to hand on since it was taken last. */
export interface Outbox {
  take(): { reports: ReportRequest[]; grants: Grant[] };
  close(): void;
}

/** Sends to the replicas that follow this one what they cannot know by themselves. */
export interface Relay {
  /** A report that reached this replica. */
  send(report: ReportRequest): void;
  /** Shares that this replica decided on for another one's proxy, and loads of pods that it asks. */
  grant(node: string, leases: readonly Lease[], loads: readonly Load[]): void;
  /** Events from now on; close it when it is no longer read. */
  open(): Outbox;
}

/** A replica that takes nothing for so long loses the oldest: the next reports tell the same again. */
const maxKept = 5_000;

/**
 * Makes what sends this replica's reports and grants to the replicas that follow it. It keeps the
 * newest 5,000 reports for one that is slow.
 */
export function createRelay(): Relay {
  const outboxes = new Set<{ reports: ReportRequest[]; grants: Map<string, Grant> }>();
  return {
    send(report) {
      for (const { reports } of outboxes) {
        if (reports.length >= maxKept) reports.shift();
        reports.push(report);
      }
    },
    grant(node, leases, loads) {
      if (leases.length + loads.length === 0) return;
      // Of a node's shares the newest are all there is to know.
      const grant = create(GrantSchema, { node, leases: [...leases], loads: [...loads] });
      for (const { grants } of outboxes) grants.set(node, grant);
    },
    open() {
      const outbox = { reports: [] as ReportRequest[], grants: new Map<string, Grant>() };
      outboxes.add(outbox);
      return {
        take() {
          const grants = [...outbox.grants.values()];
          outbox.grants.clear();
          return { reports: outbox.reports.splice(0), grants };
        },
        close: () => outboxes.delete(outbox),
      };
    },
  };
}
