"""Generates a client of a server's OpenAPI document with openapi-python-client. Logs in twice with it, refreshes, lists,
revokes one session, and reads the audit log page by page. Prints what it found."""

import json
import pathlib
import subprocess
import sys

given = json.loads(sys.argv[1])
# What is no problem for it: it has no name for the type of the metrics.
pathlib.Path("config.json").write_text(
    json.dumps({"post_hooks": [], "content_type_overrides": {"application/openmetrics-text": "text/plain"}})
)
generate = ["generate", "--url", f"{given['url']}/openapi.json", "--config", "config.json", "--output-path", "client"]
generated = subprocess.run(
    [sys.executable, "-m", "openapi_python_client", *generate, "--fail-on-warning"], capture_output=True, text=True
)
if generated.returncode != 0:
    sys.exit(generated.stdout + generated.stderr)
sys.path.insert(0, "client")

from keyturn_client import AuthenticatedClient, Client  # noqa: E402
from keyturn_client.api.accounts import log_in  # noqa: E402
from keyturn_client.api.sessions import (  # noqa: E402
    list_own_audit_log,
    list_sessions,
    refresh_session,
    revoke_session,
)
from keyturn_client.models import LoginRequest, ProblemDetails, RefreshRequest, TokenResponse  # noqa: E402
from keyturn_client.types import UNSET  # noqa: E402

anybody = Client(base_url=given["url"])


def tokens(response):
    assert isinstance(response, TokenResponse), response
    return response


def log_in_once():
    body = LoginRequest(email=given["email"], password=given["password"])
    return tokens(log_in.sync(client=anybody, body=body))


def refresh(token):
    return refresh_session.sync(client=anybody, body=RefreshRequest(refresh_token=token))


other = log_in_once()
own = tokens(refresh(log_in_once().refresh_token))
client = AuthenticatedClient(base_url=given["url"], token=own.access_token)

current = [session.id for session in list_sessions.sync(client=client).sessions if session.is_current]
revoked = revoke_session.sync_detailed(other.session_id, client=client)
refused = refresh(other.refresh_token)
assert isinstance(refused, ProblemDetails), refused

events, pages, cursor = [], 0, UNSET
while cursor is not None:
    page = list_own_audit_log.sync(client=client, limit=2, cursor=cursor)
    events += [entry.event_type for entry in page.logs]
    cursor = page.pagination.next_cursor
    pages += cursor is not None

print(
    json.dumps(
        {
            "current": current == [own.session_id],
            "revoked": revoked.status_code,
            "refused": refused.code,
            "pages": pages,
            "events": events,
        }
    )
)
