// A client of types that openapi-typescript has generated in `schema.d.ts`: compiled strictly, then run. Logs in twice,
// refreshes, lists, revokes one session, and reads the audit log page by page. Prints what it found.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

interface Given {
  url: string;
  email: string;
  password: string;
}

type Login = components["schemas"]["TokenResponse"] | components["schemas"]["SecondFactorRequired"];

const given: Given = JSON.parse(process.argv[2] ?? "");
const client = createClient<paths>({ baseUrl: given.url });

function tokens(login: Login | undefined): { access: string; refresh: string; session: string } {
  if (!login || "mfa_required" in login || !login.access_token || !login.refresh_token) {
    throw new Error(`no tokens: ${JSON.stringify(login)}`);
  }
  return { access: login.access_token, refresh: login.refresh_token, session: login.session_id };
}

async function logIn() {
  const { data } = await client.POST("/api/v1/auth/login", { body: { email: given.email, password: given.password } });
  return tokens(data);
}

const other = await logIn();
const first = await logIn();
const refreshed = await client.POST("/api/v1/sessions/refresh", { body: { refresh_token: first.refresh } });
const own = tokens(refreshed.data);
const headers = { Authorization: `Bearer ${own.access}` };

const listed = await client.GET("/api/v1/sessions", { headers });
const current = listed.data?.sessions.filter((session) => session.is_current).map((session) => session.id);
const revoked = await client.DELETE("/api/v1/sessions/{id}", { headers, params: { path: { id: other.session } } });
const repeated = await client.POST("/api/v1/sessions/refresh", { body: { refresh_token: other.refresh } });

const events: string[] = [];
let pages = 0;
for (let cursor: string | undefined; ; pages += 1) {
  const query = { limit: 2, ...(cursor === undefined ? {} : { cursor }) };
  const { data } = await client.GET("/api/v1/sessions/audit", { headers, params: { query } });
  if (!data) throw new Error("no audit log");
  events.push(...data.logs.map((entry) => entry.event_type));
  if (data.pagination.next_cursor === null) break;
  cursor = data.pagination.next_cursor;
}

console.log(
  JSON.stringify({
    current: current?.length === 1 && current[0] === own.session,
    revoked: revoked.response.status,
    refused: repeated.error?.code,
    pages,
    events,
  }),
);
