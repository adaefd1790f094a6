export interface Options {
  /** The server's program: `KEYTURN_BINARY`, or `keyturn` on the path, by default. */
  binary?: string | undefined;
  /** Settings of the server, such as `ALLOWED_ORIGINS`. The process's own environment is not read. */
  settings?: Record<string, string | number | boolean>;
}

/** Seconds, or parts that are summed up. */
export type Duration = number | { days?: number; hours?: number; minutes?: number; seconds?: number };

export interface Person {
  id: string;
  email: string;
  password: string;
}

/** Somebody with two-step login. */
export interface PersonWithMfa extends Person {
  /** The secret of the authenticator app, in Base32. */
  secret: string;
  recoveryCodes: string[];
  /** Returns a code that was not used. Each is taken once: after two within 30 seconds it sets the clock ahead. */
  code(): Promise<string>;
}

export interface NewPerson {
  /** One that nobody else has, by default. */
  email?: string;
  password?: string;
  name?: string;
  /** Roles besides `user`. `admin` makes an administrator. */
  roles?: string[];
  /** Whether the address counts as verified: yes, by default. */
  verified?: boolean;
  /** Whether two-step login is enabled. */
  mfa?: boolean;
}

/** The answer to a login. */
export interface Session {
  access_token: string;
  refresh_token: string;
  session_id: string;
  /** In seconds. */
  expires_in: number;
  refresh_after: number;
  user: { id: string; email: string; name: string | null; roles: string[] };
}

/** A client of keyturn: a backend. */
export interface Credentials {
  client_id: string;
  client_secret: string;
}

export interface Email {
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  /** The addresses in the text, in their order. */
  links: string[];
}

/** Which emails are meant: all, by default. */
export interface WantedEmail {
  to?: string;
  /** A part of the subject, or an expression that matches a part of it. */
  subject?: string | RegExp;
}

export interface Keyturn {
  /** The server's address, such as `http://127.0.0.1:40123`. */
  readonly url: string;
  /** The server's process. */
  readonly pid: number;
  person(person?: NewPerson & { mfa?: false }): Promise<Person>;
  person(person: NewPerson & { mfa: true }): Promise<PersonWithMfa>;
  person(person: NewPerson): Promise<Person | PersonWithMfa>;
  /** Logs somebody in, with the second factor if there is one. Each call opens a session. */
  login(person: Pick<Person, "email" | "password">, device?: { deviceName?: string; userAgent?: string }): Promise<Session>;
  /** Registers a client, for tests of a backend. */
  client(client?: { name?: string; scopes?: string[]; audiences?: string[] }): Promise<Credentials>;
  /** Ends a session, as an operator does. */
  endSession(sessionId: string): Promise<void>;
  /** Ends all sessions of somebody. */
  endSessions(person: Pick<Person, "id">): Promise<{ sessions_revoked: number }>;
  /** Sets the clock ahead, and returns the server's time. */
  advance(duration: Duration): Promise<Date>;
  now(): Promise<Date>;
  /** Returns the emails that were sent so far, the oldest first. */
  emails(wanted?: WantedEmail): Promise<Email[]>;
  /** Waits for an email that it has not returned before, ten seconds at the most, and returns the newest one. */
  email(wanted?: WantedEmail): Promise<Email>;
  /** Returns what the server has logged: warnings and errors, unless `LOG` says otherwise. */
  log(): string;
  /** Ends the server and deletes everything that it has stored. It also ends with the process that has started it. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a server with a database, a folder and a port of its own. It takes a fraction of a second. */
export function startKeyturn(options?: Options): Promise<Keyturn>;

/** Returns the code that an authenticator app with this secret, in Base32, shows at a time (RFC 6238). */
export function totp(secret: string, time: Date): string;
