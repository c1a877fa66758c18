import {
  Ascii,
  allocate,
  beginText,
  counter,
  Metric,
  Text,
  textBytes,
  write,
  writeText,
  written,
  writtenBytes,
} from "../sdk";

/**
 * A counter as the control service is told of it. Kept for the life of the VM,
 * as its metric is.
 */
@unmanaged
export class Counted {
  next: usize;
  metric: Metric;
  nameBytes: u32;
  routeBytes: u32;
  labelBytes: u32;
  // Name, route and label follow.
}

export let firstCounted: usize = 0;

/**
 * The counter `weir_<name>_total` of a route, split by one label. The metric's
 * name carries the labels the way Istio's tag extraction and Weir's bootstrap
 * read them: "route=.=inference/chat;.;variant=.=canary;.;weir_canary_requests_total".
 */
export function countedBy(name: Ascii, route: Text, key: Ascii, label: Text): Metric {
  beginText();
  writeLabel("route", route);
  if (label != 0) writeLabel(key, label);
  write("weir_");
  write(name);
  write("_total");
  const metric = counter(written(), writtenBytes());
  for (let at = firstCounted; at != 0; at = changetype<Counted>(at).next)
    if (changetype<Counted>(at).metric == metric) return metric;
  addCounted(name, route, label, metric);
  return metric;
}

function writeLabel(key: Ascii, value: Text): void {
  write(key);
  write("=.=");
  writeText(value);
  write(";.;");
}

function addCounted(name: Ascii, route: Text, label: Text, metric: Metric): void {
  const labelBytes: usize = label == 0 ? 0 : textBytes(label);
  beginText();
  write(name);
  writeText(route);
  if (label != 0) writeText(label);
  const counted = changetype<Counted>(allocate(offsetof<Counted>() + writtenBytes()));
  counted.metric = metric;
  counted.nameBytes = <u32>name.length;
  counted.routeBytes = <u32>textBytes(route);
  counted.labelBytes = <u32>labelBytes;
  memory.copy(changetype<usize>(counted) + offsetof<Counted>(), written(), writtenBytes());
  counted.next = firstCounted;
  firstCounted = changetype<usize>(counted);
}
