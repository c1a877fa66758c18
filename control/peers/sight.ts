/** A proxy as one replica sees it. */
export interface Sight {
  node: string;
  /** Namespaces whose routes it gets; ["*"] means all. */
  scope: readonly string[];
  /** Routes as stored in what it is sent; undefined before there is anything. */
  etags: ReadonlyMap<string, string> | undefined;
  /** Why it does not run that yet; undefined when it does. */
  lag: { reason: string; refused?: boolean } | undefined;
}
