import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import { shorten } from "../text/shorten.ts";
import { refused } from "./refusal.ts";

/** Where pods may register, by the documents as they are stored. */
export interface Places {
  follow(routes: readonly RouteState[]): void;
  /** Names of the routes. */
  routes(): Iterable<string>;
  /** Variants with register, as "namespace/name/variant". */
  open(): Iterable<string>;
  /** Refuses a variant that is not there or does not take pods, and addresses that a document lists. @throws RefusedError */
  check(route: string, variant: string, address: string): void;
  /** Whether a pod that has registered may stay. */
  keeps(route: string, variant: string, address: string): boolean;
}

/** "namespace/name/variant", which is also the name of the variant's cluster. */
export const keyOf = (route: string, variant: string) => `${route}/${variant}`;

/** Characters of a name that a message shows. */
const maxShown = 63;

export function createPlaces(): Places {
  let names = new Set<string>();
  let variants = new Map<string, boolean>();
  let listed = new Map<string, string>();

  return {
    follow(routes) {
      names = new Set(routes.map(({ route }) => routeName(route)));
      variants = new Map();
      listed = new Map();
      for (const { route } of routes)
        for (const variant of route?.spec?.variants ?? []) {
          const key = keyOf(routeName(route), variant.name);
          variants.set(key, variant.register);
          for (const address of [...variant.endpoints, ...variant.fallbackEndpoints])
            listed.set(address, key);
        }
    },
    routes: () => names,
    *open() {
      for (const [key, takesPods] of variants) if (takesPods) yield key;
    },
    check(route, variant, address) {
      const takesPods = variants.get(keyOf(route, variant));
      if (takesPods === undefined)
        throw refused(
          "unknown-variant",
          "unknown",
          "variant",
          `route ${route} has no variant "${shorten(variant, maxShown)}"`,
        );
      if (!takesPods)
        throw refused(
          "not-registering",
          "conflict",
          "variant",
          `variant ${variant} of route ${route} takes no registrations: set register in the document`,
        );
      if (listed.has(address))
        throw refused(
          "address-listed",
          "conflict",
          "address",
          `address ${address} already belongs to a document, which lists it among its endpoints`,
        );
    },
    keeps: (route, variant, address) =>
      variants.get(keyOf(route, variant)) === true && !listed.has(address),
  };
}
