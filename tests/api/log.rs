//! The log of requests.

use serde_json::Value;

use crate::support::{Backend, Process, until};

both_backends! {
    each_line_of_a_request_has_its_id_and_the_trace_that_it_belongs_to,
}

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Sends `GET /api/v1/auth/me` with the headers and returns the span of its line in the log.
async fn span(process: &Process, id: &str, traceparents: &[&str]) -> Value {
    let mut request = process.get("/api/v1/auth/me").header("x-request-id", id);
    for traceparent in traceparents {
        request = request.header("traceparent", traceparent);
    }
    request.send().await.assert_status(401);
    until("the line of the request", async || {
        let log = process.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["message"] == "answered" && line["span"]["id"] == id).map(|line| line["span"].clone())
    })
    .await
}

async fn each_line_of_a_request_has_its_id_and_the_trace_that_it_belongs_to(backend: Backend) {
    let process = Process::with(backend, &[("LOG", "debug")]);
    let traced = span(&process, "traced", &[TRACEPARENT]).await;
    assert_eq!(traced["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(traced["parent_id"], "00f067aa0ba902b7");
    for (id, traceparents) in [("none", vec![]), ("malformed", vec!["00-x\u{e9}"]), ("two", vec![TRACEPARENT; 2])] {
        let span = span(&process, id, &traceparents).await;
        assert_eq!(span["trace_id"], Value::Null, "{id}: {span}");
        assert_eq!(span["parent_id"], Value::Null, "{id}: {span}");
    }
}
