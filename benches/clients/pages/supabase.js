import { createClient } from "@supabase/supabase-js";

const client = createClient(location.origin, "anonymous");

window.subject = {
  start: async () => {},
  async login() {
    const { error } = await client.auth.signInWithPassword({ email: "ada@example.com", password: "x" });
    if (error) throw error;
  },
  async call() {
    const { data, error } = await client.auth.getSession();
    if (!data.session) throw error ?? new Error("no session");
    return fetch("/api/me", { headers: { authorization: `Bearer ${data.session.access_token}` } });
  },
  async logout() {
    const { error } = await client.auth.signOut();
    if (error) throw error;
  },
  async isIn() {
    const { data, error } = await client.auth.getSession();
    return data.session !== null || error !== null;
  },
};
