import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FilterConditionSchema } from "../../gen/weir/v1/filter_pb.ts";
import type { RequestMatch } from "../../gen/weir/v1/route_pb.ts";
import { type Condition, conditionsOf } from "../conditions.ts";

type FilterConditionInit = MessageInitShape<typeof FilterConditionSchema>;

/** A condition as filters read it. */
export function filterCondition({ header, value }: Condition): FilterConditionInit {
  return { header, value };
}

/** The entries of a match as the filters read them: one list, in which "or" begins each but the first. */
export function filterConditions(matches: readonly RequestMatch[]): FilterConditionInit[] {
  return matches.flatMap((match, entry) =>
    conditionsOf(match).map((condition, index) => ({
      ...filterCondition(condition),
      ...(entry > 0 && index === 0 ? { or: true } : {}),
    })),
  );
}
