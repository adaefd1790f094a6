import { createAuth0Client } from "@auth0/auth0-spa-js";

let client;

window.subject = {
  redirects: true,
  async start() {
    client = await createAuth0Client({
      domain: location.origin,
      clientId: "app",
      authorizationParams: { redirect_uri: `${location.origin}/callback`, audience: "orders" },
      useRefreshTokens: true,
      cacheLocation: "localstorage",
    });
    if (location.pathname !== "/callback") return;
    await client.handleRedirectCallback();
    history.replaceState(null, "", "/app");
  },
  login: () => client.loginWithRedirect(),
  async call() {
    const token = await client.getTokenSilently();
    return fetch("/api/me", { headers: { authorization: `Bearer ${token}` } });
  },
  logout: () => client.logout({ logoutParams: { returnTo: `${location.origin}/app` } }),
  isIn: () => client.isAuthenticated(),
};
