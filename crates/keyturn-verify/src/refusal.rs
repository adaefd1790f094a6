//! Why a token is refused.

use crate::dpop::InvalidProof;

/// The reason why a request is refused. Its [code](Self::code) is for logs, metrics and tests; the caller is told the
/// [status](Self::status) and the [challenge](Self::challenge) only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The text has not the form of a JWS, or is too long.
    #[error("the token is malformed")]
    Malformed,
    /// The header is not that of an access token.
    #[error("the header is not valid")]
    Header,
    /// The keys have never been fetched.
    #[error("the keys are not known yet")]
    NotReady,
    /// No key has the id in the header.
    #[error("the key is unknown")]
    UnknownKey,
    /// The key was revoked.
    #[error("the key was revoked")]
    KeyRevoked,
    /// The signature is wrong.
    #[error("the signature is not valid")]
    Signature,
    /// The claims are malformed, or the issuer or audience is wrong.
    #[error("the claims are not valid")]
    Claims,
    /// The token is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The session has ended.
    #[error("the session has ended")]
    SessionRevoked,
    /// The token was revoked; its session may go on.
    #[error("the token was revoked")]
    TokenRevoked,
    /// The token is bound to a key, and came without a proof.
    #[error("the token is bound to a key: it needs the scheme DPoP and a proof")]
    ProofRequired,
    /// The token came with the scheme `DPoP`, and is bound to no key.
    #[error("the token is bound to no key: it needs the scheme Bearer")]
    NotBound,
    /// The proof is not valid for the request and the token.
    #[error(transparent)]
    Proof(#[from] InvalidProof),
    /// The proof is by another key than the token's.
    #[error("the proof is by another key than that of the token")]
    OtherKey,
    /// It is not known whether the proof was used before.
    #[error("the memory of proofs is full")]
    ProofUnknown,
    /// What is known about revocations is too old, and the policy is to refuse.
    #[error("what is known about revocations is too old")]
    Stale,
    /// What is known about revocations is too old, and the policy is to ask the server.
    #[error("the server has to be asked whether the token is active")]
    Introspect,
    /// A role is missing.
    #[error("a role is missing")]
    MissingRole,
    /// A scope is missing.
    #[error("a scope is missing")]
    MissingScope,
    /// A method of authentication is missing.
    #[error("a method of authentication is missing")]
    MissingAmr,
    /// Somebody acts for the user.
    #[error("somebody acts for the user")]
    Acting,
    /// The user authenticated too long ago.
    #[error("the user authenticated too long ago")]
    LoginTooOld,
}

impl Refusal {
    /// Returns the stable code of the reason, as in the corpus.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::NotReady => "not_ready",
            Self::UnknownKey => "unknown_key",
            Self::KeyRevoked => "key_revoked",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::SessionRevoked => "session_revoked",
            Self::TokenRevoked => "token_revoked",
            Self::ProofRequired => "proof_required",
            Self::NotBound => "not_bound",
            Self::Proof(error) => error.code(),
            Self::OtherKey => "proof_other_key",
            Self::ProofUnknown => "proof_unknown",
            Self::Stale => "stale",
            Self::Introspect => "introspect",
            Self::MissingRole => "missing_role",
            Self::MissingScope => "missing_scope",
            Self::MissingAmr => "missing_amr",
            Self::Acting => "acting",
            Self::LoginTooOld => "login_too_old",
        }
    }

    /// Returns the HTTP status: 503 where it is not known whether the token is valid, since a client that gets 401 may
    /// log its user out.
    pub const fn status(self) -> u16 {
        match self {
            Self::NotReady | Self::Stale | Self::Introspect | Self::ProofUnknown => 503,
            Self::MissingRole | Self::MissingScope | Self::Acting => 403,
            _ => 401,
        }
    }

    /// Returns the value of `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3), if the response has one.
    pub const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NotReady | Self::Stale | Self::Introspect | Self::ProofUnknown => None,
            Self::ProofRequired | Self::NotBound => Some("DPoP error=\"invalid_token\", algs=\"ES256 EdDSA RS256\""),
            Self::Proof(_) | Self::OtherKey => Some("DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA RS256\""),
            Self::MissingRole | Self::MissingScope | Self::Acting => Some("Bearer error=\"insufficient_scope\""),
            Self::LoginTooOld | Self::MissingAmr => Some("Bearer error=\"insufficient_user_authentication\""),
            _ => Some("Bearer error=\"invalid_token\""),
        }
    }
}
