"""Uses the standard endpoints with Authlib, as its documentation shows. Prints what each step found."""

import json
import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

given = json.loads(sys.argv[1])
issuer, audience, client_id, secret = (given[name] for name in ("issuer", "audience", "id", "secret"))
metadata = requests.get(f"{issuer}/.well-known/oauth-authorization-server", timeout=10).json()
token_endpoint = metadata["token_endpoint"]


def client(method):
    return OAuth2Session(
        client_id,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope="introspect",
    )


def introspect(session, token):
    return session.introspect_token(metadata["introspection_endpoint"], token=token).json()


def exchange(session):
    answer = session.fetch_token(
        token_endpoint,
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=given["access"],
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        scope="orders:read",
    )
    return answer["access_token"]


found = {}
for name, method in (("basic", "client_secret_basic"), ("post", "client_secret_post")):
    session = client(method)
    own = session.fetch_token(token_endpoint, grant_type="client_credentials", audience=audience)["access_token"]
    found[name] = {
        "subject": introspect(session, given["access"])["sub"],
        "own": introspect(session, own)["sub"],
        "exchanged": introspect(session, exchange(client(method)))["scope"],
        "unknown": introspect(session, "unknown"),
    }

session = client("client_secret_basic")
app = OAuth2Session("keyturn", token_endpoint_auth_method="none", revocation_endpoint_auth_method="none")
next_tokens = app.refresh_token(token_endpoint, refresh_token=given["refresh"])
revoked = app.revoke_token(metadata["revocation_endpoint"], token=next_tokens["access_token"])
assert revoked.status_code == 200, revoked.text
found["dead"] = introspect(session, next_tokens["access_token"])["active"]
found["alive"] = introspect(session, next_tokens["refresh_token"])["active"]
app.revoke_token(metadata["revocation_endpoint"], token=next_tokens["refresh_token"]).raise_for_status()
try:
    app.refresh_token(token_endpoint, refresh_token=next_tokens["refresh_token"])
    found["refused"] = None
except OAuthError as error:
    found["refused"] = error.error
print(json.dumps(found))
