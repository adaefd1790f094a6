"""The integrations of frameworks let valid tokens through, and tell others what is wrong."""

import unittest
from typing import Annotated

import django
import fake
import fastapi
import fastapi.testclient
import flask
import keyturn_verify.django
import keyturn_verify.fastapi
import keyturn_verify.flask
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from keyturn_verify import Demand, LiveVerifier

VALID = "Bearer " + fake.token_of("time: valid at any time")
INVALID = 'Bearer error="invalid_token"'
CASES = (
    (VALID, Demand(), 200, None),
    (VALID, Demand(role="editor", scope="orders:read"), 200, None),
    (None, Demand(), 401, "Bearer"),
    ("Basic YTpi", Demand(), 401, "Bearer"),
    ("Bearer x", Demand(), 401, INVALID),
    ("Bearer " + fake.token_of("ES256: both zero"), Demand(), 401, INVALID),
    (VALID, Demand(role="admin"), 403, 'Bearer error="insufficient_scope"'),
    (VALID, Demand(amr="hwk"), 401, 'Bearer error="insufficient_user_authentication"'),
)

BOUND = fake.token_of("proof: of a token that is valid at any time")
PUBLIC_URL = "https://api.example/base"
PROOF_REQUIRED = 'DPoP error="invalid_token", algs="ES256 EdDSA RS256"'
INVALID_PROOF = 'DPoP error="invalid_dpop_proof", algs="ES256 EdDSA RS256"'


def bound_cases():
    """`Authorization` and `DPoP`, and the status and the challenge of the response."""
    url = PUBLIC_URL + "/a%2Fb"
    used = fake.proof(BOUND, "GET", url)
    return (
        ("Bearer " + BOUND, None, 401, PROOF_REQUIRED),
        ("Bearer " + BOUND, fake.proof(BOUND, "GET", url), 401, PROOF_REQUIRED),
        ("DPoP " + BOUND, None, 401, PROOF_REQUIRED),
        ("DPoP " + BOUND, used, 200, None),
        ("DPoP " + BOUND, used, 401, INVALID_PROOF),
        ("dpop " + BOUND, fake.proof(BOUND, "GET", url), 200, None),
        ("DPoP " + BOUND, fake.proof(BOUND, "POST", url), 401, INVALID_PROOF),
        ("DPoP " + BOUND, fake.proof(BOUND, "GET", PUBLIC_URL + "/a"), 401, INVALID_PROOF),
        ("DPoP " + BOUND, fake.proof(BOUND, "GET", "https://testserver/a%2Fb"), 401, INVALID_PROOF),
        ("DPoP " + BOUND, f"{fake.proof(BOUND, 'GET', url)}, {fake.proof(BOUND, 'GET', url)}", 401, INVALID_PROOF),
        ("DPoP " + VALID.split(" ")[1], None, 401, PROOF_REQUIRED),
        ("DPoP " + VALID.split(" ")[1], fake.proof(VALID.split(" ")[1], "GET", url), 401, PROOF_REQUIRED),
        (f"DPoP {BOUND}, Bearer {BOUND}", fake.proof(BOUND, "GET", url), 401, "Bearer"),
    )


settings.configure(ALLOWED_HOSTS=["testserver"])
django.setup()


class Frameworks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = fake.Fake()
        options = fake.CORPUS["options"]
        names = (options["issuer"], options["audiences"], "a", "b")
        rules = {"url": cls.server.url, "max_age_of_feed": 600}
        cls.verifier = LiveVerifier(*names, **rules, public_url=PUBLIC_URL + "/")
        cls.without_url = LiveVerifier(*names, **rules)
        assert cls.verifier.ready(30) and cls.without_url.ready(30)

    @classmethod
    def tearDownClass(cls):
        cls.verifier.close()
        cls.without_url.close()
        cls.server.close()

    def check(self, call):
        """`call` sends a request with these headers to an app with this verifier and demand; it returns status, challenge,
        text."""
        for authorization, demand, status, challenge in CASES:
            headers = {"Authorization": authorization} if authorization else {}
            answered, told, text = call(self.verifier, demand, headers)
            self.assertEqual((answered, told), (status, challenge), (authorization, demand))
            self.assertEqual("sub=" in text, status == 200)
        for authorization, proof, status, challenge in bound_cases():
            headers = {"Authorization": authorization} | ({} if proof is None else {"DPoP": proof})
            answered, told, _ = call(self.verifier, Demand(), headers)
            self.assertEqual((answered, told), (status, challenge), (authorization, proof))
        # An API that does not know its URL takes no bound tokens.
        headers = {"Authorization": "DPoP " + BOUND, "DPoP": fake.proof(BOUND, "GET", "http://testserver/a%2Fb")}
        self.assertEqual(call(self.without_url, Demand(), headers)[:2], (401, "Bearer"))

    def test_fastapi(self):
        def call(verifier, demand, headers):
            app = fastapi.FastAPI()
            dependency = fastapi.Depends(keyturn_verify.fastapi.authenticated(verifier, demand))

            @app.get("/{path:path}")
            def subject(claims: Annotated[dict, dependency]):
                return "sub=" + claims["sub"]

            response = fastapi.testclient.TestClient(app).get("/a%2Fb?c=d", headers=headers)
            return response.status_code, response.headers.get("www-authenticate"), response.text

        self.check(call)

    def test_flask(self):
        def call(verifier, demand, headers):
            app = flask.Flask(__name__)

            @app.get("/<path:path>")
            @keyturn_verify.flask.authenticated(verifier, demand)
            def subject(path):
                return "sub=" + flask.g.auth["sub"]

            response = app.test_client().get("/a%2Fb?c=d", headers=headers)
            return response.status_code, response.headers.get("www-authenticate"), response.text

        self.check(call)

    def test_django(self):
        def call(verifier, demand, headers):
            @keyturn_verify.django.authenticated(verifier, demand)
            def subject(request):
                return HttpResponse("sub=" + request.auth["sub"])

            response = subject(RequestFactory().get("/a%2Fb?c=d", headers=headers, RAW_URI="/a%2Fb?c=d"))
            return response.status_code, response.headers.get("www-authenticate"), response.content.decode()

        self.check(call)


if __name__ == "__main__":
    unittest.main()
