"""Verifies access tokens of keyturn in a backend, without asking for each, and refuses a token within a second of the
end of its session. docs/verifiers.md of keyturn is the specification."""

from ._live import AsyncLiveVerifier, LiveVerifier
from ._refusal import Refusal
from ._revoked import MalformedEvent
from ._verifier import Demand, Rules, Verifier

__all__ = ["AsyncLiveVerifier", "Demand", "LiveVerifier", "MalformedEvent", "Refusal", "Rules", "Verifier"]
