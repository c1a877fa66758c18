import {
  type Client,
  Code,
  ConnectError,
  createClient,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Auth, KV, Lease, Watch } from "../gen/etcdserverpb/rpc_pb.ts";
import type { EtcdAddress } from "./address.ts";

/** The services of one member. */
export interface Member {
  kv: Client<typeof KV>;
  watch: Client<typeof Watch>;
  lease: Client<typeof Lease>;
}

/** All members of a cluster, one of which is asked until it fails. */
export interface Members {
  /** Asks one member after the other until one answers. @throws EtcdError of the last one */
  each<T>(work: (member: Member) => Promise<T>): Promise<T>;
  /** Asks the current member only; after an error the next one is current. @throws EtcdError */
  one<T>(work: (member: Member) => Promise<T>): Promise<T>;
  /** Makes the next member the current one. */
  turn(): void;
  close(): void;
}

/** A call of etcd failed: it refused, or could not be reached. */
export class EtcdError extends Error {
  override name = "EtcdError";
  /** Whether etcd refused the request itself, so that asking again is of no use. */
  readonly refused: boolean;
  constructor(message: string, refused: boolean) {
    super(message);
    this.refused = refused;
  }
}

/** Status codes that blame the request, not the member. */
const refusals = new Set([
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.PermissionDenied,
  Code.ResourceExhausted,
  Code.NotFound,
  Code.OutOfRange,
]);

export function createMembers(address: EtcdAddress): Members {
  const sessions: Http2SessionManager[] = [];
  let current = 0;
  let token: Promise<string> | undefined;

  const authenticate: Interceptor = (next) => async (request) => {
    // A member without a leader ends a stream that asks for one, so that a watch does not wait for ever.
    request.header.set("hasleader", "true");
    if (address.user === undefined || request.service.typeName === Auth.typeName)
      return next(request);
    token ??= login(address.user);
    const used = token;
    try {
      request.header.set("token", await used);
      return await next(request);
    } catch (error) {
      // Tokens end with time and with every change of etcd's users.
      if (token === used && isAuthError(error)) token = undefined;
      throw error;
    }
  };

  const members: (Member & { auth: Client<typeof Auth> })[] = address.endpoints.map((baseUrl) => {
    const sessionManager = new Http2SessionManager(baseUrl, {}, { ...address.tls });
    sessions.push(sessionManager);
    const transport: Transport = createGrpcTransport({
      baseUrl,
      sessionManager,
      interceptors: [authenticate],
    });
    return {
      kv: createClient(KV, transport),
      watch: createClient(Watch, transport),
      lease: createClient(Lease, transport),
      auth: createClient(Auth, transport),
    };
  });
  const member = () => members[current] as (typeof members)[number];
  const turn = () => {
    current = (current + 1) % members.length;
  };

  async function login(user: { name: string; password: string }): Promise<string> {
    return (await member().auth.authenticate(user, { timeoutMs: 2_000 })).token;
  }

  async function one<T>(work: (member: Member) => Promise<T>): Promise<T> {
    const asked = current;
    try {
      return await work(member());
    } catch (error) {
      const known = toEtcdError(error);
      // A connection without answers may be dead without having been closed.
      if (ConnectError.from(error).code === Code.DeadlineExceeded) sessions[asked]?.abort();
      if (!known.refused && asked === current) turn();
      throw known;
    }
  }

  return {
    one,
    async each(work) {
      // Each member, and the first once more: its token may have been the only thing wrong.
      for (let left = members.length; ; left--) {
        try {
          return await one(work);
        } catch (error) {
          if (left === 0 || (error as EtcdError).refused) throw error;
        }
      }
    },
    turn,
    close() {
      for (const session of sessions) session.abort();
    },
  };
}

function isAuthError(error: unknown): boolean {
  const { code, rawMessage } = ConnectError.from(error);
  return code === Code.Unauthenticated || /auth token|revision of auth store/.test(rawMessage);
}

function toEtcdError(error: unknown): EtcdError {
  const { code, rawMessage } = ConnectError.from(error);
  return new EtcdError(rawMessage, refusals.has(code) && !isAuthError(error));
}
