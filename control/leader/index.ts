export { createLeader } from "./campaign.ts";
export { joinReplicas } from "./join.ts";
export { createKubeLease } from "./kube-lease.ts";
export { createSoleLeader, type Leader, type Lease } from "./leader.ts";
export { nobodyConnected } from "./nobody-connected.ts";
export { openLeader } from "./open.ts";
export { createOwnership, ownerOf } from "./owner.ts";
