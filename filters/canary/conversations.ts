import { xxh64 } from "../format/xxh64";
import {
  CAS_MISMATCH,
  findHeader,
  nextHeader,
  nowNs,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { CONVERSATIONS, MAX_TRIES, readSet, writeSet } from "../shared-table";
import { CanaryPolicy, variantName } from "./config";

// Which variant a conversation began with. The proxy's memory of it is a fixed
// table in shared data, 4,096 keys of eight ways, oldest out; each worker keeps a
// small table of its own in front of it, so that most requests ask no one.
//
//   way, and row of a worker's table: u64 conversation | u32 variant | u32 seen, in seconds
const WAYS: usize = 8;
const WAY: usize = 16;
const SET: usize = WAYS * WAY;
const ROWS: usize = 1024;
/** A conversation is seen again in the proxy's memory after this part of the pause that ends it. */
const FRESH_SHARE: u32 = 8;

const set: usize = memory.data(<i32>SET, 8);
const rows: usize = memory.data(<i32>(ROWS * WAY), 8);

let nowS: u32 = 0;

/** Hash of the request's conversation, 0 when it names none or two. */
export function conversationOf(policy: CanaryPolicy): u64 {
  const row = findHeader(policy.conversationHeader);
  if (row == 0 || valueBytes(row) == 0 || nextHeader(policy.conversationHeader, row) != 0) return 0;
  return xxh64(valuePtr(row), valueBytes(row), policy.seed) | 1;
}

/**
 * The variant that a conversation is on, as long as that variant takes traffic
 * at all; -1 when it has none yet.
 */
export function keptVariant(policy: CanaryPolicy, conversation: u64): i32 {
  nowS = <u32>(nowNs() / 1000000000);
  const own = rowOf(conversation);
  if (load<u64>(own) == conversation && ageS(own) < policy.conversationIdleS / FRESH_SHARE) {
    const variant = liveVariant(policy, load<u32>(own, 8));
    if (variant >= 0) return variant;
  }
  return exchange(policy, conversation, -1);
}

/** Remembers where a new conversation goes; the variant, or the one that another worker chose meanwhile. */
export function keepVariant(policy: CanaryPolicy, conversation: u64, variant: i32): i32 {
  return exchange(policy, conversation, variant);
}

/**
 * Looks the conversation up in the proxy's memory and marks it as seen; writes
 * down the given variant when it is not there. Failures of the host cost the
 * memory of this conversation and nothing else.
 */
function exchange(policy: CanaryPolicy, conversation: u64, wanted: i32): i32 {
  for (let i = 0; i < MAX_TRIES; i++) {
    readSet(CONVERSATIONS, conversation, set, SET);
    const way = wayOf(policy, conversation);
    let variant = load<u64>(way) == conversation ? liveVariant(policy, load<u32>(way, 8)) : -1;
    if (variant < 0) variant = wanted;
    if (variant < 0) return -1;
    store<u64>(way, conversation);
    store<u32>(way, hashOf(policy, variant), 8);
    store<u32>(way, nowS, 12);
    const status = writeSet(CONVERSATIONS, conversation, set, SET);
    if (status == CAS_MISMATCH) continue;
    memory.copy(rowOf(conversation), way, WAY);
    return variant;
  }
  return wanted;
}

/** The conversation's own way unless it is over, else a free one, else the one seen longest ago. */
function wayOf(policy: CanaryPolicy, conversation: u64): usize {
  let oldest = set;
  for (let way = set; way < set + SET; way += WAY) {
    if (load<u64>(way) == conversation) {
      if (ageS(way) >= policy.conversationIdleS) store<u64>(way, 0);
      return way;
    }
    if (load<u64>(way) == 0 || ageS(way) > ageS(oldest)) oldest = way;
  }
  return oldest;
}

/** Seconds since a way was seen; none when the clock went back. */
function ageS(way: usize): u32 {
  const seen = load<u32>(way, 12);
  return load<u64>(way) == 0 ? u32.MAX_VALUE : nowS > seen ? nowS - seen : 0;
}

function rowOf(hash: u64): usize {
  return rows + (<usize>(hash >> 48) & (ROWS - 1)) * WAY;
}

/** A variant as the table names it: a number that stays as configurations come and go. */
function hashOf(policy: CanaryPolicy, variant: i32): u32 {
  const name = variantName(policy, variant);
  return <u32>xxh64(textPtr(name), textBytes(name), 0);
}

function liveVariant(policy: CanaryPolicy, hash: u32): i32 {
  for (let i = 0; i < policy.variantCount; i++)
    if ((policy.live >> i) & 1 && hashOf(policy, i) == hash) return i;
  return -1;
}
