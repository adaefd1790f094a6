import { createClient } from "../../../sdk/typescript/src/index.ts";

const client = createClient({ baseUrl: location.origin });

window.subject = {
  start: async () => {},
  login: () => client.login({ email: "ada@example.com", password: "seven ravens over the harbour" }),
  call: () => client.fetch("/api/me"),
  logout: () => client.logout(),
  isIn: () => client.accessToken().then(() => true, ({ kind }) => kind !== "signed_out"),
};
