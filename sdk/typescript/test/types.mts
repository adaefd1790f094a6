// What the types allow. It is compiled only.
import { asyncStorage, createClient, isKeyturnError, memoryStorage, webStorage } from "@keyturn/client";
import { type KeyturnSessions, type Texts, defineElements, english, german } from "@keyturn/client/elements";
import type { Client, Clock, Failure, KeyturnError, SignedOutReason, TokenStorage, User } from "@keyturn/client";

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(): T | void => undefined;

const clock: Clock = { now: () => 0, after: () => () => {} };
const storage: TokenStorage = { get: async () => null, set: async () => {}, remove: () => {} };
const client: Client = createClient({
  baseUrl: "https://auth.example",
  transport: "bearer",
  storage,
  fetch,
  clock,
  origins: ["https://api.example"],
  live: true,
  onStepUp: async ({ maxAge }) => {
    await client.reauthenticate({ password: String(maxAge) });
  },
});
createClient({ baseUrl: "https://auth.example", transport: "cookie", storage: memoryStorage() });
createClient({ baseUrl: "https://auth.example", storage: webStorage("name") });
const keychain = { getItem: async () => null, setItem: async () => {}, removeItem: async () => {} };
createClient({ baseUrl: "https://auth.example", storage: asyncStorage(keychain, "name") });

const login = await client.login({ email: "ada@example.com", password: "x", device_name: "laptop" });
if (login.status === "mfa_required") {
  const [method] = login.methods;
  const { mfa_token } = login;
  const done = await client.mfa.complete({ mfa_token, method: method ?? "totp", code: "123456", remember_device: true });
  holds<Equals<typeof done.status, "signed_in">>();
  const device: string | undefined = done.trusted_device;
  void device;
  // @ts-expect-error nobody is known yet
  void login.user;
} else {
  holds<Equals<typeof login.user, User>>();
  // @ts-expect-error there is nothing to complete
  void login.mfa_token;
}
const registered = await client.register({ email: "ada@example.com", password: "x" });
holds<Equals<typeof registered.status, "signed_in" | "verification_required">>();
const token: string = await client.accessToken({ signal: new AbortController().signal });
const response: Response = await client.fetch("/orders", { method: "POST" });
const name: string | null = (await client.me()).user.name;
const [first] = await client.sessions.list({ includeExpired: true });
const label: string | undefined = first?.device.label;
const count: number = (await client.sessions.endOthers()).sessions_revoked;
const renamed: string | null = (await client.sessions.rename("id", null)).name;
const codes: string[] = (await client.mfa.confirm({ code: "123456" })).recovery_codes;
const off: () => void = client.on("signedOut", ({ reason }) => holds<Equals<typeof reason, SignedOutReason>>());
client.on("signedIn", ({ user }) => holds<Equals<typeof user, User | undefined>>());
client.on("refreshed", ({ session_id }) => session_id.length);
off();
client.wake();
client.dispose();
await client.logout();

// Every kind of failure has what belongs to it, and a switch over all is complete.
export function told(error: unknown): string {
  if (!isKeyturnError(error)) throw error;
  holds<Equals<typeof error, KeyturnError>>();
  const { message }: Error = error;
  switch (error.kind) {
    case "refused":
      return `${error.status} ${error.code} ${error.problem.request_id} ${error.retryAfter ?? 0}`;
    case "signed_out":
      holds<Equals<typeof error.reason, SignedOutReason | undefined>>();
      return error.reason ?? "nobody";
    case "unavailable":
      return String(error.retryAfter ?? error.status);
    case "storage":
    case "cookies_blocked":
    case "read_only":
    case "configuration":
    case "disposed":
      // @ts-expect-error it has no status
      void error.status;
      return message;
    default: {
      const none: never = error;
      return none;
    }
  }
}
holds<Equals<Failure["kind"], KeyturnError["kind"]>>();

// @ts-expect-error an address is needed
createClient({});
// @ts-expect-error no such transport
createClient({ baseUrl: "https://auth.example", transport: "header" });
// @ts-expect-error the transport is the client's
client.login({ email: "a", password: "b", transport: "cookie" });
// @ts-expect-error a password is needed
client.login({ email: "a" });
// @ts-expect-error no such event
client.on("refresh", () => {});
// @ts-expect-error a storage can forget
createClient({ baseUrl: "https://auth.example", storage: { get: () => null, set: () => {} } });
export { codes, count, label, name, renamed, response, token };

defineElements({ client, texts: german });
defineElements({ texts: { end: "Log out", endOthers: (count) => `Log out ${count}` } });
defineElements({ texts: { sessionsTitle: undefined, reasons: { logout: "logged out", other: undefined } } });
const whole: Texts = { ...english, end: "Log out" };
void whole;
const { end: _, ...some } = english;
// @ts-expect-error a catalogue says everything
const part: Texts = some;
void part;
// @ts-expect-error no element says this
defineElements({ texts: { ending: "Log out" } });
const element: KeyturnSessions = document.createElement("keyturn-sessions");
element.client = client;
element.texts = undefined;
element.addEventListener("keyturn-session-ended", ({ detail }) => {
  holds<Equals<typeof detail, { session_id: string }>>();
});
