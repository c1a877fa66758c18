import type {
  Counter,
  Histogram,
  Need,
  ReportRequest,
  Saturation,
} from "../gen/weir/v1/report_pb.ts";

/**
 * A report as the filters write it, in the JSON mapping of Protobuf. It reads
 * nothing else: what has another member or another form is for the general reader,
 * which takes ten times as long and says what is wrong.
 * @returns undefined when it is none of the filters'
 */
export function readReport(value: unknown): ReportRequest | undefined {
  if (!isObject(value)) return undefined;
  const report: ReportRequest = {
    $typeName: "weir.v1.ReportRequest",
    node: "",
    epoch: "",
    revision: "",
    filter: "",
    counters: [],
    histograms: [],
    needs: [],
    saturations: [],
  };
  for (const key in value) {
    const member = value[key];
    switch (key) {
      case "node":
      case "epoch":
      case "revision":
      case "filter":
        if (typeof member !== "string") return undefined;
        report[key] = member;
        break;
      case "counters":
        if (!readAll(member, readCounter, report.counters)) return undefined;
        break;
      case "histograms":
        if (!readAll(member, readHistogram, report.histograms)) return undefined;
        break;
      case "needs":
        if (!readAll(member, readNeed, report.needs)) return undefined;
        break;
      case "saturations":
        if (!readAll(member, readSaturation, report.saturations)) return undefined;
        break;
      default:
        return undefined;
    }
  }
  return report;
}

function readCounter(value: Members): Counter | undefined {
  const counter: Counter = {
    $typeName: "weir.v1.Counter",
    name: "",
    route: "",
    label: "",
    variant: "",
    tier: "",
    tenant: "",
    value: 0n,
  };
  for (const key in value) {
    const member = value[key];
    switch (key) {
      case "name":
      case "route":
      case "label":
      case "variant":
      case "tier":
      case "tenant":
        if (typeof member !== "string") return undefined;
        counter[key] = member;
        break;
      case "value":
        if (!isCount(member)) return undefined;
        counter.value = BigInt(member);
        break;
      default:
        return undefined;
    }
  }
  return counter;
}

function readHistogram(value: Members): Histogram | undefined {
  const histogram: Histogram = {
    $typeName: "weir.v1.Histogram",
    name: "",
    route: "",
    variant: "",
    tier: "",
    tenant: "",
    index: [],
    count: [],
    zeros: 0n,
  };
  for (const key in value) {
    const member = value[key];
    switch (key) {
      case "name":
      case "route":
      case "variant":
      case "tier":
      case "tenant":
        if (typeof member !== "string") return undefined;
        histogram[key] = member;
        break;
      case "index":
        if (!Array.isArray(member) || !member.every(isIndex)) return undefined;
        histogram.index = member;
        break;
      case "count":
        if (!readCounts(member, histogram.count)) return undefined;
        break;
      case "zeros":
        if (!isCount(member)) return undefined;
        histogram.zeros = BigInt(member);
        break;
      default:
        return undefined;
    }
  }
  return histogram;
}

function readNeed(value: Members): Need | undefined {
  const need: Need = {
    $typeName: "weir.v1.Need",
    route: "",
    tenant: "",
    wanted: 0n,
    intervalNs: 0n,
  };
  for (const key in value) {
    const member = value[key];
    switch (key) {
      case "route":
      case "tenant":
        if (typeof member !== "string") return undefined;
        need[key] = member;
        break;
      case "wanted":
      case "intervalNs":
        if (!isCount(member)) return undefined;
        need[key] = BigInt(member);
        break;
      default:
        return undefined;
    }
  }
  return need;
}

function readSaturation(value: Members): Saturation | undefined {
  const saturation: Saturation = {
    $typeName: "weir.v1.Saturation",
    route: "",
    source: "",
    permille: 0,
  };
  for (const key in value) {
    const member = value[key];
    switch (key) {
      case "route":
      case "source":
        if (typeof member !== "string") return undefined;
        saturation[key] = member;
        break;
      case "permille":
        if (!isCount(member) || Number(member) > 0xffffffff) return undefined;
        saturation.permille = Number(member);
        break;
      default:
        return undefined;
    }
  }
  return saturation;
}

interface Members {
  [key: string]: unknown;
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readAll<T>(list: unknown, read: (value: Members) => T | undefined, into: T[]): boolean {
  if (!Array.isArray(list)) return false;
  for (const each of list) {
    const found = isObject(each) ? read(each) : undefined;
    if (found === undefined) return false;
    into.push(found);
  }
  return true;
}

/** A bucket's number: a sint32. */
function isIndex(value: unknown): value is number {
  return Number.isInteger(value) && value === ((value as number) | 0);
}

function readCounts(list: unknown, into: bigint[]): boolean {
  if (!Array.isArray(list)) return false;
  for (const each of list) {
    if (!isCount(each)) return false;
    into.push(BigInt(each));
  }
  return true;
}

const maxDigits = 18;

/** A count, as a number or in digits: no filter counts as far as 10^18. */
function isCount(value: unknown): value is number | string {
  if (typeof value !== "string") return Number.isSafeInteger(value) && (value as number) >= 0;
  if (value.length === 0 || value.length > maxDigits) return false;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return false;
  }
  return true;
}
