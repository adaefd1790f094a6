//! Metrics: those of the process and the build, and that no client can add series.

use std::collections::BTreeSet;

use crate::support::{Backend, Process};

both_backends! {
    the_process_and_the_build_are_told,
}

embedded_only! {
    ten_thousand_hostile_requests_add_no_series,
}

async fn the_process_and_the_build_are_told(server: Process) {
    let text = server.get("/metrics").send().await.assert_status(200).text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 1e6);
    assert!(value("process_cpu_seconds_total ") > 0.0);
    let files = value("process_open_fds ");
    assert!(files > 3.0 && files < value("process_max_fds "));
    assert!(value("process_start_time_seconds ") > 1.7e9);
    assert!(value(concat!("keyturn_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",commit=\"")) >= 1.0);
    assert!(value("keyturn_revocation_log_age_seconds ") < 30.0);
    assert!(value("keyturn_clock_skew_seconds ") < 5.0);
    assert!(value("keyturn_emails_oldest_seconds ") >= 0.0);
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
}

/// Returns the names and labels of all series.
async fn series(server: &Process) -> BTreeSet<String> {
    let text = server.get("/metrics").send().await.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

async fn ten_thousand_hostile_requests_add_no_series(_: Backend) {
    let server = Process::with(Backend::Embedded, &[("LIMIT_LOGIN_ADDRESS", "off"), ("LIMIT_REFRESH_ADDRESS", "off")]);
    let attack = async |n: usize| {
        let id = format!("01900000-0000-7000-8000-{n:012x}");
        let token = format!("made-up-{n}");
        let refresh = server.refresh(&token);
        let method = server.request(&format!("BREW{n}"), "/health/live");
        let path = server.get(&format!("/made/up/{n}?{n}"));
        let host = server.get(&format!("/api/v1/sessions/{id}")).header("host", &format!("{n}.example"));
        let agent = server.delete(&format!("/api/v1/sessions/{id}")).header("user-agent", &format!("agent {n}"));
        tokio::join!(refresh, method.send(), path.send(), host.send(), agent.send());
    };
    attack(0).await;
    series(&server).await;
    let before = series(&server).await;
    for n in 1..2000 {
        attack(n).await;
    }
    let after = series(&server).await;
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}
