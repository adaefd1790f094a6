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

settings.configure(ALLOWED_HOSTS=["testserver"])
django.setup()


class Frameworks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = fake.Fake()
        options = fake.CORPUS["options"]
        cls.verifier = LiveVerifier(options["issuer"], options["audiences"], "a", "b", url=cls.server.url)
        assert cls.verifier.ready(30)

    @classmethod
    def tearDownClass(cls):
        cls.verifier.close()
        cls.server.close()

    def check(self, call):
        """`call` sends a request with these headers to an app with this demand; it returns status, challenge, text."""
        for authorization, demand, status, challenge in CASES:
            headers = {"Authorization": authorization} if authorization else {}
            answered, told, text = call(demand, headers)
            self.assertEqual((answered, told), (status, challenge), (authorization, demand))
            self.assertEqual("sub=" in text, status == 200)

    def test_fastapi(self):
        def call(demand, headers):
            app = fastapi.FastAPI()
            dependency = fastapi.Depends(keyturn_verify.fastapi.authenticated(self.verifier, demand))

            @app.get("/")
            def subject(claims: Annotated[dict, dependency]):
                return "sub=" + claims["sub"]

            response = fastapi.testclient.TestClient(app).get("/", headers=headers)
            return response.status_code, response.headers.get("www-authenticate"), response.text

        self.check(call)

    def test_flask(self):
        def call(demand, headers):
            app = flask.Flask(__name__)

            @app.get("/")
            @keyturn_verify.flask.authenticated(self.verifier, demand)
            def subject():
                return "sub=" + flask.g.auth["sub"]

            response = app.test_client().get("/", headers=headers)
            return response.status_code, response.headers.get("www-authenticate"), response.text

        self.check(call)

    def test_django(self):
        def call(demand, headers):
            @keyturn_verify.django.authenticated(self.verifier, demand)
            def subject(request):
                return HttpResponse("sub=" + request.auth["sub"])

            response = subject(RequestFactory().get("/", headers=headers))
            return response.status_code, response.headers.get("www-authenticate"), response.content.decode()

        self.check(call)


if __name__ == "__main__":
    unittest.main()
