import { UserManager, WebStorageStateStore } from "oidc-client-ts";

const manager = new UserManager({
  authority: location.origin,
  client_id: "app",
  redirect_uri: `${location.origin}/callback`,
  post_logout_redirect_uri: `${location.origin}/app`,
  scope: "openid profile email offline_access",
  automaticSilentRenew: true,
  userStore: new WebStorageStateStore({ store: localStorage }),
});
let renewal;

// The library asks once for each call of `signinSilent`, so the app shares one.
function renewed() {
  renewal ??= manager.signinSilent().finally(() => (renewal = undefined));
  return renewal;
}

window.subject = {
  redirects: true,
  async start() {
    if (location.pathname !== "/callback") return;
    await manager.signinRedirectCallback();
    history.replaceState(null, "", "/app");
  },
  login: () => manager.signinRedirect(),
  async call() {
    let user = await manager.getUser();
    if (!user) throw new Error("no user");
    if (user.expired) user = await renewed();
    if (!user) throw new Error("no user");
    return fetch("/api/me", { headers: { authorization: `Bearer ${user.access_token}` } });
  },
  logout: () => manager.signoutRedirect(),
  isIn: async () => (await manager.getUser()) !== null,
};
