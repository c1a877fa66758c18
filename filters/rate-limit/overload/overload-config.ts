import { member, nextMember, openObject, readNumber, unknownField } from "../../format/json";
import { Region } from "../../sdk";
import { Flow } from "../in-flight/flow";

/** Message OverloadPolicy: the marks at which a pod counts as saturated. */
@unmanaged
class OverloadPolicy {
  queueDepth: f64;
  kvCachePercent: f64;
  gpuPercent: f64;
}

export function parseOverload(region: Region): usize {
  const policy = changetype<OverloadPolicy>(region.alloc(offsetof<OverloadPolicy>()));
  policy.queueDepth = 5;
  policy.kvCachePercent = 80;
  openObject();
  while (nextMember()) {
    if (member("queueDepth")) {
      policy.queueDepth = readNumber(0, 100000);
    } else if (member("kvCachePercent")) {
      policy.kvCachePercent = readNumber(0, 100);
    } else if (member("gpuPercent")) {
      policy.gpuPercent = readNumber(0, 100);
    } else unknownField();
  }
  return changetype<usize>(policy);
}

/** Has a route's flow listen to what pods say, or no longer. */
export function bindOverload(at: usize, flow: Flow): void {
  flow.listens = at != 0;
  if (at == 0) {
    flow.share = 1;
    return;
  }
  const policy = changetype<OverloadPolicy>(at);
  flow.queueMark = policy.queueDepth;
  flow.kvCacheMark = policy.kvCachePercent / 100;
  flow.gpuMark = policy.gpuPercent / 100;
}
