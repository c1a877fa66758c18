import type { ObservedLoad, PodLoad } from "../gen/weir/v1/signals_pb.ts";
import { table } from "./output.ts";

const words: Readonly<Record<string, string>> = {
  answers: "pods' answers",
  estimate: "proxies' estimate",
};

/** A table of how busy pods are, by source; empty without any data. */
export function describeSaturation(
  pods: readonly PodLoad[],
  observed: readonly ObservedLoad[],
): string[] {
  const rows = [
    ...[...new Set(pods.map(({ variant }) => variant))].flatMap((variant) => {
      const answering = pods.flatMap((pod) =>
        pod.variant === variant && pod.saturationPercent !== undefined
          ? [pod.saturationPercent]
          : [],
      );
      if (answering.length === 0) return [];
      const mean = answering.reduce((sum, each) => sum + each, 0) / answering.length;
      return [[variant, percent(mean), "pods' metrics", counted(answering.length, "pod", "pods")]];
    }),
    ...observed.map(({ source, saturationPercent, proxies }) => [
      "all variants",
      percent(saturationPercent),
      words[source] ?? source,
      counted(proxies, "proxy", "proxies"),
    ]),
  ];
  return rows.length > 0 ? [table(["LOAD OF", "SATURATION", "SOURCE", "REPORTED BY"], rows)] : [];
}

const counted = (count: number, one: string, many: string) =>
  `${count} ${count === 1 ? one : many}`;
const percent = (value: number) => `${Math.round(value)} %`;
