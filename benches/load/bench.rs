//! The measurements of one server on one backend, round by round.

use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::argon2;
use crate::lanes::{self, Account, Session, Work, deal};
use crate::postgres::{self, Pgbench};
use crate::report::{Bound, Report};
use crate::server::{Backend, Folder, Server};

/// The owners of the sessions. As many others log in under load, so that the owners keep few sessions.
const ACCOUNTS: usize = 16;
/// Shared out between the connections, however many these are.
const SESSIONS: usize = 256;
const SET_UP_CONNECTIONS: usize = 8;
const FLOOD_CONNECTIONS: usize = 32;
/// Fresh starts, for the first answer and the idle memory.
const STARTS: usize = 5;

const LOGIN: &str = "login";
const REFRESH: &str = "refresh";
const VERIFY: &str = "verify";
const INTROSPECT: &str = "introspect";
const REFRESH_FLOODED: &str = "refresh, while 32 others log in";
const LOGIN_FLOOD: &str = "login, while 16 others refresh";
const EMPTY: &str = "empty actix handler";
const PGBENCH: &str = "pgbench, the update of a refresh";
const REDIS_GET: &str = "redis-benchmark GET";
const ARGON2: &str = "Argon2 alone, on all cores";

/// What is measured, if not everything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// The name of one row.
    pub row: Option<String>,
    pub connections: Option<usize>,
}

impl Only {
    fn wants(&self, rows: &[&str], connections: usize) -> bool {
        self.row.as_deref().is_none_or(|row| rows.contains(&row))
            && self.connections.is_none_or(|wanted| wanted == connections)
    }
}

pub struct Bench {
    length: Duration,
    only: Only,
    /// Before the backend, so that it is ended before its data is removed.
    server: Server,
    backend: Backend,
    pgbench: Option<Pgbench>,
    /// Those that log in under load.
    accounts: Vec<Account>,
    sessions: Vec<Session>,
    /// The credentials of a client that may introspect.
    client: Arc<str>,
    idle_memory: f64,
}

/// Starts the embedded server on empty folders: how long until it answers, and what it holds a second later.
pub async fn measure_starts(report: &mut Report) -> Result<()> {
    let (mut seconds, mut megabytes) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let backend = Backend::Embedded(Folder::new()?);
        let server = Server::keyturn(&backend).await?;
        seconds.push(server.first_answer.as_secs_f64());
        tokio::time::sleep(Duration::from_secs(1)).await;
        megabytes.push(server.resident_megabytes()?);
    }
    report.goal("embedded", "start to first answer, s", seconds, Bound::Below(0.3));
    report.goal("embedded", "idle memory (RSS), MB", megabytes, Bound::Below(40.0));
    Ok(())
}

impl Bench {
    /// Starts the server and opens the sessions.
    pub async fn new(backend: Backend, length: Duration, only: Only) -> Result<Self> {
        let server = Server::keyturn(&backend).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let idle_memory = server.resident_megabytes()?;
        let mut accounts = (0..2 * ACCOUNTS).map(Account::new).collect::<Result<Vec<_>>>()?;
        let hands = deal(accounts.clone(), SET_UP_CONNECTIONS);
        lanes::complete(server.address, hands.into_iter().map(Work::Register)).await?;

        let owners = accounts.split_off(ACCOUNTS);
        let logins = owners.iter().cycle().take(SESSIONS).cloned();
        let hands = deal(logins, SET_UP_CONNECTIONS);
        let sessions = lanes::complete(server.address, hands.into_iter().map(Work::Login)).await?;

        let client = server.register_client()?.into();
        let mut bench = Self { length, only, server, backend, pgbench: None, accounts, sessions, client, idle_memory };
        bench.prepare_pgbench().await?;
        Ok(bench)
    }

    /// Runs the rounds and judges them. What is compared stands side by side in each round.
    pub async fn run(mut self, rounds: usize, report: &mut Report) -> Result<()> {
        let empty = Server::empty_actix().await?;
        for round in 1..=rounds {
            eprintln!("{}, round {round} of {rounds}", self.backend.name());
            for connections in [1, 16, 64] {
                self.run_rows(connections, &empty, report).await?;
            }
            self.run_programs(report)?;
        }
        self.judge(report)
    }

    async fn run_rows(&mut self, connections: usize, empty: &Server, report: &mut Report) -> Result<()> {
        if self.only.wants(&[LOGIN], connections) {
            let logins = self.logins(connections);
            self.load(vec![(LOGIN, logins)], report).await?;
        }
        if self.only.wants(&[LOGIN, ARGON2], connections) && connections == 64 {
            report.record(self.backend.name(), ARGON2, argon2::threads(), argon2::hash_for(self.length)?);
        }
        if self.only.wants(&[VERIFY, INTROSPECT], connections) {
            let verifies = self.verifies(connections);
            self.load(vec![(VERIFY, verifies)], report).await?;
        }
        if self.only.wants(&[VERIFY, INTROSPECT], connections) {
            let introspections = self.introspections(connections);
            self.load(vec![(INTROSPECT, introspections)], report).await?;
        }
        if self.only.wants(&[VERIFY, EMPTY], connections) && connections == 64 {
            let nothing = std::iter::repeat_with(|| Work::Empty).take(64).collect();
            self.load_on(empty, vec![(EMPTY, nothing)], report).await?;
        }
        if self.only.wants(&[REFRESH, REFRESH_FLOODED], connections) {
            let refreshes = self.refreshes(connections);
            self.load(vec![(REFRESH, refreshes)], report).await?;
        }
        if self.only.wants(&[REFRESH_FLOODED, LOGIN_FLOOD], connections) && connections == 16 {
            let (refreshes, flood) = (self.refreshes(connections), self.logins(FLOOD_CONNECTIONS));
            self.load(vec![(REFRESH_FLOODED, refreshes), (LOGIN_FLOOD, flood)], report).await?;
        }
        Ok(())
    }

    /// One connection for each work; groups at the same time.
    async fn load(&mut self, groups: Vec<(&'static str, Vec<Work>)>, report: &mut Report) -> Result<()> {
        let sessions = self.load_on(&self.server, groups, report).await?;
        self.sessions.extend(sessions);
        Ok(())
    }

    async fn load_on(
        &self,
        server: &Server,
        groups: Vec<(&'static str, Vec<Work>)>,
        report: &mut Report,
    ) -> Result<Vec<Session>> {
        let mut sessions = Vec::new();
        let (names, works): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let sizes: Vec<usize> = works.iter().map(Vec::len).collect();
        let outcomes = lanes::measure(server, self.length, works).await?;
        for ((name, connections), outcome) in names.into_iter().zip(sizes).zip(outcomes) {
            for (failure, count) in outcome.failures {
                report.fail(format!("{}: {name}, {connections} connections: {failure}", self.backend.name()), count);
            }
            report.record(self.backend.name(), name, connections, outcome.round);
            sessions.extend(outcome.sessions);
        }
        Ok(sessions)
    }

    /// All log in to the same accounts, each beginning with another.
    fn logins(&self, connections: usize) -> Vec<Work> {
        let from = |lane: usize| self.accounts.iter().cycle().skip(lane).take(self.accounts.len()).cloned().collect();
        (0..connections).map(|lane| Work::Login(from(lane))).collect()
    }

    fn refreshes(&mut self, connections: usize) -> Vec<Work> {
        deal(std::mem::take(&mut self.sessions), connections).into_iter().map(Work::Refresh).collect()
    }

    fn verifies(&mut self, connections: usize) -> Vec<Work> {
        deal(std::mem::take(&mut self.sessions), connections).into_iter().map(Work::Verify).collect()
    }

    fn introspections(&mut self, connections: usize) -> Vec<Work> {
        let hands = deal(std::mem::take(&mut self.sessions), connections);
        hands.into_iter().map(|sessions| Work::Introspect(Arc::clone(&self.client), sessions)).collect()
    }

    /// Refreshes every session once and has pgbench repeat what that did to the table.
    async fn prepare_pgbench(&mut self) -> Result<()> {
        let Backend::Postgres(_, database) = &self.backend else { return Ok(()) };
        database.remember_sessions()?;
        let hands = deal(std::mem::take(&mut self.sessions), SET_UP_CONNECTIONS);
        self.sessions = lanes::complete(self.server.address, hands.into_iter().map(Work::Refresh)).await?;
        self.pgbench = Some(Pgbench::prepare(database, SESSIONS)?);
        Ok(())
    }

    fn run_programs(&self, report: &mut Report) -> Result<()> {
        let Backend::Postgres(_, database) = &self.backend else { return Ok(()) };
        if let Some(pgbench) = &self.pgbench
            && self.only.wants(&[REFRESH, PGBENCH], postgres::CLIENTS)
        {
            report.record(self.backend.name(), PGBENCH, postgres::CLIENTS, pgbench.run(database, self.length)?);
        }
        if self.only.wants(&[REDIS_GET], postgres::CLIENTS) {
            report.record(self.backend.name(), REDIS_GET, postgres::CLIENTS, database.redis_get(self.length)?);
        }
        Ok(())
    }

    fn judge(&self, report: &mut Report) -> Result<()> {
        let backend = self.backend.name();
        let mut of_empty = 0.75;
        if let (Backend::Postgres(_, database), Some(pgbench)) = (&self.backend, &self.pgbench) {
            let ratio = report.ratio(backend, (REFRESH, 64), (PGBENCH, postgres::CLIENTS), |round| round.rate);
            report.goal(backend, "refresh, 64 / pgbench, 64", ratio, Bound::AtLeast(1.5));
            report.goal(backend, "idle memory (RSS), MB", vec![self.idle_memory], Bound::Below(40.0));
            of_empty = 0.6;
            report.note(format!(
                "{}; updates that touched no index: {}",
                database.describe()?,
                database.hot_updates()?
            ));
            report.note(format!("pgbench's transaction: `{}`", pgbench.statement));
        }
        let ratio = report.ratio(backend, (VERIFY, 64), (EMPTY, 64), |round| round.rate);
        report.goal(backend, "verify, 64 / empty actix handler, 64", ratio, Bound::AtLeast(of_empty));
        let ratio = report.ratio(backend, (INTROSPECT, 64), (VERIFY, 64), |round| round.rate);
        report.goal(backend, "introspect, 64 / verify, 64", ratio, Bound::AtLeast(0.8));
        let ratio = report.ratio(backend, (LOGIN, 64), (ARGON2, argon2::threads()), |round| round.rate);
        report.goal(backend, "login, 64 / Argon2 alone, on all cores", ratio, Bound::AtLeast(0.95));
        let ratio = report.ratio(backend, (REFRESH_FLOODED, 16), (REFRESH, 16), |round| round.p99);
        report.goal(backend, "p99 of refresh, 16: in a flood of logins / alone", ratio, Bound::AtMost(2.0));
        report.note(format!(
            "{backend}: first answer after {:.2} s; RSS then {:.1} MB, {:.1} MB after the load",
            self.server.first_answer.as_secs_f64(),
            self.idle_memory,
            self.server.resident_megabytes()?
        ));
        Ok(())
    }
}
