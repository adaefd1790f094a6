//! The middlewares of frameworks let valid tokens through, and tell others what is wrong.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::{ReqData, get};
use actix_web::{App, http::header};
use http::{Request, Response};
use keyturn_verify::client::{LiveVerifier, Settings};
use keyturn_verify::{Demand, VerifiedToken, actix, tower};
use support::{AUDIENCE, Fake, ISSUER, event, proof, token};
use tower_layer::Layer as _;
use tower_service::Service;

/// A request's `Authorization`, what is demanded, and the status and the challenge of the response.
fn cases() -> Vec<(Option<String>, Demand, u16, Option<&'static str>)> {
    let valid = || Some(format!("Bearer {}", token("time: valid at any time")));
    let invalid = "Bearer error=\"invalid_token\"";
    vec![
        (valid(), Demand::default(), 200, None),
        (valid(), Demand::default().role("editor").scope("orders:read"), 200, None),
        (None, Demand::default(), 401, Some("Bearer")),
        (Some("Basic YTpi".to_owned()), Demand::default(), 401, Some("Bearer")),
        (Some("Bearer x".to_owned()), Demand::default(), 401, Some(invalid)),
        (Some(format!("Bearer {}", token("ES256: both zero"))), Demand::default(), 401, Some(invalid)),
        (valid(), Demand::default().role("admin"), 403, Some("Bearer error=\"insufficient_scope\"")),
        (valid(), Demand::default().amr("hwk"), 401, Some("Bearer error=\"insufficient_user_authentication\"")),
    ]
}

const PUBLIC_URL: &str = "https://api.example/base";

/// What a layer knows as its URL, the headers of a request for `/a%2Fb`, and the status and the challenge of the answer.
type BoundCase = (Option<&'static str>, Vec<(&'static str, String)>, u16, Option<&'static str>);

fn bound_cases() -> Vec<BoundCase> {
    let required = Some("DPoP error=\"invalid_token\", algs=\"ES256 EdDSA RS256\"");
    let invalid = Some("DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA RS256\"");
    let bound = token("proof: of a token that is valid at any time");
    let unbound = token("time: valid at any time");
    let url = format!("{PUBLIC_URL}/a%2Fb");
    let prove = |method: &str, url: &str| ("dpop", proof(&bound, method, url));
    let authorization = |scheme: &str, token: &str| ("authorization", format!("{scheme} {token}"));
    let (bearer, dpop) = (authorization("Bearer", &bound), authorization("DPoP", &bound));
    let used = prove("GET", &url);
    let own = Some(PUBLIC_URL);
    vec![
        // Without its URL an API takes none.
        (None, vec![dpop.clone(), prove("GET", &url)], 401, Some("Bearer")),
        (own, vec![bearer.clone()], 401, required),
        (own, vec![bearer, prove("GET", &url)], 401, required),
        (own, vec![dpop.clone()], 401, required),
        (own, vec![dpop.clone(), used.clone()], 200, None),
        (own, vec![dpop.clone(), used], 401, invalid),
        (own, vec![authorization("dpop", &bound), prove("GET", &url)], 200, None),
        (own, vec![dpop.clone(), prove("POST", &url)], 401, invalid),
        (own, vec![dpop.clone(), prove("GET", &format!("{PUBLIC_URL}/a"))], 401, invalid),
        (own, vec![dpop.clone(), prove("GET", "http://localhost/a%2Fb")], 401, invalid),
        (own, vec![dpop.clone(), prove("GET", &url), prove("GET", &url)], 401, invalid),
        (own, vec![dpop, ("dpop", String::new())], 401, invalid),
        (own, vec![authorization("DPoP", &unbound)], 401, required),
        (own, vec![authorization("DPoP", &unbound), ("dpop", proof(&unbound, "GET", &url))], 401, required),
    ]
}

#[actix_web::test]
async fn actix_web_takes_bound_tokens_with_proofs() {
    let fake = Fake::start().await;
    let layer = actix::Authentication::new(verifier(&fake).await, Demand::default());
    let subject = |token: ReqData<Arc<VerifiedToken>>| async move { token.claims.sub.clone() };
    for (url, headers, status, challenge) in bound_cases() {
        let layer = url.map_or(layer.clone(), |url| layer.clone().public_url(url));
        let app = init_service(App::new().wrap(layer).route("/{path}", get().to(subject))).await;
        let mut request = TestRequest::get().uri("/a%2Fb?c=d");
        for (name, value) in &headers {
            request = request.append_header((*name, value.as_str()));
        }
        let response = call_service(&app, request.to_request()).await;
        let told = response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), told), (status, challenge), "{headers:?}");
    }
}

#[tokio::test]
async fn a_service_of_tower_gets_bound_tokens_with_proofs() {
    let fake = Fake::start().await;
    let layer = tower::Authentication::new(verifier(&fake).await, Demand::default());
    for (url, headers, status, challenge) in bound_cases() {
        let layer = url.map_or(layer.clone(), |url| layer.clone().public_url(&format!("{url}/")));
        let mut request = Request::builder().uri("/a%2Fb?c=d");
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let response = layer.layer(Subject).call(request.body(()).unwrap()).await.unwrap();
        let told = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), told), (status, challenge), "{headers:?}");
    }
}

async fn verifier(fake: &Fake) -> LiveVerifier {
    let mut settings = Settings::new(ISSUER, AUDIENCE, "a", "b");
    settings.url.clone_from(&fake.url);
    let verifier = LiveVerifier::start(settings).unwrap();
    verifier.ready().await;
    verifier
}

#[actix_web::test]
async fn actix_web_lets_valid_tokens_through() {
    let fake = Fake::start().await;
    let verifier = verifier(&fake).await;
    for (authorization, demand, status, challenge) in cases() {
        let subject = |token: ReqData<Arc<VerifiedToken>>| async move { token.claims.sub.clone() };
        let app = App::new().wrap(actix::Authentication::new(verifier.clone(), demand)).route("/", get().to(subject));
        let app = init_service(app).await;
        let mut request = TestRequest::get().uri("/");
        if let Some(value) = &authorization {
            request = request.insert_header((header::AUTHORIZATION, value.as_str()));
        }
        let response = call_service(&app, request.to_request()).await;
        let told = response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), told), (status, challenge), "{authorization:?}");
    }
}

/// A service that answers with the subject of the token.
#[derive(Clone)]
struct Subject;

impl Service<Request<()>> for Subject {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let token = request.extensions().get::<Arc<VerifiedToken>>().unwrap();
        ready(Ok(Response::new(token.claims.sub.clone())))
    }
}

#[tokio::test]
async fn a_service_of_tower_gets_valid_tokens() {
    let fake = Fake::start().await;
    let verifier = verifier(&fake).await;
    for (authorization, demand, status, challenge) in cases() {
        let mut service = tower::Authentication::new(verifier.clone(), demand).layer(Subject);
        let mut request = Request::builder();
        if let Some(value) = &authorization {
            request = request.header("authorization", value);
        }
        let response = service.call(request.body(()).unwrap()).await.unwrap();
        let told = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), told), (status, challenge), "{authorization:?}");
        assert_eq!(response.body().is_empty(), status != 200);
    }
}

#[tokio::test]
async fn what_is_not_known_is_no_refusal_of_the_token() {
    let fake = Fake::start().await;
    *fake.script.greeting.lock().unwrap() = event("reset", &serde_json::json!({}));
    let mut settings = Settings::new(ISSUER, AUDIENCE, "a", "b");
    settings.url.clone_from(&fake.url);
    let verifier = LiveVerifier::start(settings).unwrap();
    let mut service = tower::Authentication::new(verifier, Demand::default()).layer(Subject);
    let value = format!("Bearer {}", token("time: valid at any time"));
    let request = Request::builder().header("authorization", value).body(()).unwrap();
    let response = service.call(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("www-authenticate")), (503, None));
}
