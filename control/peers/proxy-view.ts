/** Why a proxy does not run what it is sent. */
export interface Lag {
  reason: string;
  /** It refused it. */
  refused?: boolean;
  /** It refused what was before that, too. */
  refusedBefore?: boolean;
  /** If the reason quotes a proxy's message: the reason without it, */
  brief?: string;
  /** and the namespaces that whoever reads them must be allowed to see. */
  concerns?: readonly string[];
}

/** The proxy that was sent a route's newest state first and refused. */
export interface Refused {
  node: string;
  /** "CDS" ... "ECDS". */
  type: string;
  /** Its own words. */
  message: string;
  /** Of the state that it refused. */
  etag: string;
}

/** A proxy as one replica sees it. */
export interface ProxyView {
  node: string;
  /** Namespaces whose routes it gets; ["*"] means all. */
  scope: readonly string[];
  /** Routes as stored in what it is sent; undefined before there is anything. */
  etags: ReadonlyMap<string, string> | undefined;
  /** Routes whose newest state is kept from it, by the proxy that refused it. */
  held: ReadonlyMap<string, Refused> | undefined;
  /** Why it does not run that yet; undefined when it does. */
  lag: Lag | undefined;
}
