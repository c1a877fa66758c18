import type { ReportRequest } from "../gen/weir/v1/report_pb.ts";

/** Hands the reports that reach this replica to the replicas that follow it. */
export interface Relay {
  send(report: ReportRequest): void;
  /** What comes from now on; close it when nobody takes it any more. */
  open(): { take(): ReportRequest[]; close(): void };
}

/** A replica that takes nothing for so long loses the oldest: the next reports tell the same again. */
const mostKept = 5_000;

export function createRelay(): Relay {
  const queues = new Set<ReportRequest[]>();
  return {
    send(report) {
      for (const queue of queues) {
        if (queue.length >= mostKept) queue.shift();
        queue.push(report);
      }
    },
    open() {
      const queue: ReportRequest[] = [];
      queues.add(queue);
      return {
        take: () => queue.splice(0),
        close: () => queues.delete(queue),
      };
    },
  };
}
