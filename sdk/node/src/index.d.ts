/** The claims of an access token. Times are seconds since 1970. */
export interface Claims {
  iss: string;
  /** The id of the account; `client:` and the id of the client if no person is behind the token. */
  sub: string;
  aud: string;
  exp: number;
  iat: number;
  nbf: number;
  jti: string;
  /** The session. A client's own token has none. */
  sid?: string;
  rev?: number;
  client_id: string;
  scope?: string;
  roles?: string[];
  auth_time?: number;
  amr?: string[];
  email?: string | null;
  email_verified?: boolean | null;
  name?: string | null;
  /** Whoever acts for the user. */
  act?: { sub: string } | null;
  /** The key that the token is bound to (RFC 9449), by its thumbprint. */
  cnf?: { jkt: string };
}

/** A token that came with a proof (RFC 9449). */
export interface Bound {
  token: string;
  proof: string;
  method: string;
  /** The URL of the request as the client knows it. Query and fragment do not count. */
  url: string;
}

/** What an application demands of a valid token. */
export interface Demands {
  role?: string;
  /** Scopes, separated by spaces. */
  scope?: string;
  /** Whether nobody may act for the user. */
  owner?: boolean;
  /** A method of authentication, such as `mfa`. */
  amr?: string;
  /** How many seconds ago the login may be. */
  maxAge?: number;
}

/** Why a token is refused: the codes of the specification. */
export type Code =
  | "malformed" | "header" | "not_ready" | "unknown_key" | "key_revoked" | "signature" | "claims" | "not_yet_valid"
  | "expired" | "session_revoked" | "token_revoked" | "stale" | "introspect" | "missing_role" | "missing_scope"
  | "missing_amr" | "acting" | "login_too_old" | "proof_required" | "not_bound" | "proof_malformed" | "proof_header"
  | "proof_key" | "proof_signature" | "proof_claims" | "proof_method" | "proof_url" | "proof_time" | "proof_token"
  | "proof_other_key" | "proof_replayed" | "proof_unknown";

export class Refusal extends Error {
  constructor(code: Code);
  readonly code: Code;
  /** 401 for an invalid token, 403 for what is missing, 503 where it is not known whether the token is valid. */
  readonly status: 401 | 403 | 503;
  /** The value of `WWW-Authenticate`. */
  readonly challenge: string | undefined;
}

export interface Options {
  issuer: string;
  /** One of `audience` and `audiences` is needed. */
  audience?: string;
  audiences?: string[];
  algorithms?: ("ES256" | "EdDSA" | "RS256")[];
  /** Seconds, for `nbf`: 5 by default, 30 at most. */
  notBeforeLeeway?: number;
  /** Seconds, for `exp`: 0 by default, 30 at most. */
  expiryLeeway?: number;
  /** Milliseconds after which the knowledge about revocations is stale: 5000 by default. */
  maxAgeOfFeed?: number;
  /** What happens to a valid token then: `refuse` by default. */
  whenStale?: "refuse" | "introspect" | "accept";
  /** How many verified tokens are remembered at least. */
  remembered?: number;
  /** How many proofs are accepted in 66 seconds; further ones are refused with 503. 1048576 by default. */
  proofs?: number;
  /**
   * Tells the processes of an API of each other's proofs: notes the digest in what they share, for so many seconds, and
   * returns whether it was not there. If it fails, the request is refused with 503.
   */
  claimProof?: (digest: string, seconds: number) => boolean | Promise<boolean>;
}

/** Verifies tokens by the keys and events that it is given, without I/O. */
export class Verifier {
  constructor(options: Options & { feed?: boolean });
  setKeys(set: unknown): Promise<void>;
  hasKey(kid: string): boolean;
  apply(event: string, data: unknown, at?: number): void;
  age(at?: number): number | undefined;
  readonly revocations: number;
  /** Verifies a token that came by itself. */
  verify(token: string, now?: number, at?: number): Promise<Claims>;
  /** Verifies a token that came with a proof, and uses up the proof. */
  verifyBound(presented: Bound, now?: number, at?: number): Promise<Claims>;
}

/** A verifier that fetches the keys and follows the feed of revocations. */
export interface LiveVerifier {
  /** Waits until the keys and a whole snapshot of the revocations are there. */
  ready(): Promise<void>;
  /** Verifies a token that came by itself, without I/O; throws a `Refusal`. */
  verify(token: string): Promise<Claims>;
  /** Verifies a token that came with a proof, and uses up the proof; throws a `Refusal`. */
  verifyBound(presented: Bound): Promise<Claims>;
  /** Verifies a token that came by itself; may fetch keys or ask keyturn. Throws a `Refusal`. */
  check(token: string): Promise<Claims>;
  /** The same for a token that came with a proof. */
  checkBound(presented: Bound): Promise<Claims>;
  /** How many milliseconds old the knowledge about revocations is. */
  age(): number | undefined;
  readonly revocations: number;
  readonly publicUrl: string | undefined;
  readonly lastError: unknown;
  close(): void;
}

export function createVerifier(
  options: Options & {
    clientId: string;
    clientSecret: string;
    url?: string;
    /**
     * What clients write before the path of a request to this API, such as `https://api.example`. With it, the
     * middlewares take tokens that are bound to a key, too.
     */
    publicUrl?: string;
  },
): LiveVerifier;

/** Throws a `Refusal` if the claims have not what is demanded. */
export function demand(claims: Claims, demands?: Demands, now?: number): void;
