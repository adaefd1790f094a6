// Calls the API of a quick start with tokens of all kinds, until that of a session that has ended is refused.
const { keyturn, app, client, email, password } = JSON.parse(process.argv[2]);

const call = (token) => fetch(`${app}/orders`, { headers: token ? { authorization: `Bearer ${token}` } : {} });

async function post(path, body, headers) {
  const response = await fetch(keyturn + path, { method: "POST", headers, body });
  return response.status === 204 ? undefined : response.json();
}

const login = () =>
  post("/api/v1/auth/login", JSON.stringify({ email, password }), { "content-type": "application/json" });

// A token that the client has itself, for an audience of its own or for that of the API.
async function own(audience) {
  const authorization = `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}`;
  const body = new URLSearchParams({ grant_type: "client_credentials", audience });
  return (await post("/oauth/token", body, { authorization })).access_token;
}

const { access_token: token } = await login();
const none = await call();
const seen = {
  good: (await call(token)).status,
  none: none.status,
  challenge: none.headers.get("www-authenticate"),
  wrong: (await call(`${token.slice(0, -5)}wrong`)).status,
  audience: (await call(await own("https://other.example"))).status,
  program: (await call(await own("keyturn"))).status,
};
await post("/api/v1/auth/logout", undefined, { authorization: `Bearer ${token}` });
while ((await call(token)).status !== 401);
console.log(JSON.stringify(seen));
