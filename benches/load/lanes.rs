//! Closed-loop load: each lane is one connection that sends its next request as soon as it has the last answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::client::{Answer, Connection};
use crate::report::{Round, percentile};
use crate::server::{self, PATIENCE, Server};
use crate::{Error, Result, random_hex};

/// What each measurement runs before it counts: long enough for caches, allocators and queues to reach their stride.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Account {
    email: String,
    password: String,
}

/// The newest token pair of one session. A refresh replaces it, so a session belongs to one lane at a time.
pub struct Session {
    access_token: Vec<u8>,
    refresh_token: Vec<u8>,
}

/// What a lane asks for, over and over, taking turns between its accounts or sessions.
pub enum Work {
    Register(Vec<Account>),
    Login(Vec<Account>),
    Refresh(Vec<Session>),
    Verify(Vec<Session>),
    /// With the `Authorization` header of a client.
    Introspect(Arc<str>, Vec<Session>),
    /// The page of the API at this path.
    Get(&'static str, Vec<Session>),
    /// The page for browsers at this path, with the header `Cookie` of a login.
    Page(&'static str, Arc<str>),
    Empty,
}

/// What a group of lanes got done inside the window.
pub struct Outcome {
    pub round: Round,
    /// Answers other than the wanted one and lost connections, in and around the window: how often each.
    pub failures: BTreeMap<String, u32>,
    /// The lanes' sessions, for the next measurement.
    pub sessions: Vec<Session>,
}

/// Runs the groups at the same time against `server`, each work on a connection of its own, and counts what is
/// answered within `length` after the warm-up.
pub async fn measure(server: &Server, length: Duration, groups: Vec<Vec<Work>>) -> Result<Vec<Outcome>> {
    let mut connected = Vec::new();
    for group in groups {
        let mut lanes = Vec::new();
        for work in group {
            lanes.push(Lane::new(Connection::open(server.address).await?, work));
        }
        connected.push(lanes);
    }
    let start = Instant::now() + WARM_UP;
    let window = Window { start, end: start + length };
    let running: Vec<Vec<JoinHandle<Lane>>> = connected
        .into_iter()
        .map(|lanes| lanes.into_iter().map(|lane| tokio::spawn(lane.drive(window))).collect())
        .collect();

    tokio::time::sleep_until(window.start.into()).await;
    let (server_before, client_before) = (server.cpu()?, server::own_cpu()?);
    tokio::time::sleep_until(window.end.into()).await;
    let (server_cpu, client_cpu) =
        (server.cpu()?.saturating_sub(server_before), server::own_cpu()?.saturating_sub(client_before));

    // With several groups at once nobody can tell whose request the time was spent on.
    let cpu = (running.len() == 1).then_some((server_cpu, client_cpu));
    let mut outcomes = Vec::new();
    for group in running {
        let mut lanes = Vec::new();
        for lane in group {
            let lane = tokio::time::timeout_at((window.end + PATIENCE).into(), lane).await;
            lanes.push(lane.map_err(|_| format!("a request was not answered within {PATIENCE:?}"))??);
        }
        outcomes.push(Outcome::of(lanes, length, cpu)?);
    }
    Ok(outcomes)
}

/// Registers, logs in or refreshes each item once, without measuring. Returns the sessions.
pub async fn complete(address: SocketAddr, works: impl Iterator<Item = Work>) -> Result<Vec<Session>> {
    let mut running = Vec::new();
    for work in works {
        running.push(tokio::spawn(Lane::new(Connection::open(address).await?, work).go_round_once()));
    }
    let mut sessions = Vec::new();
    for lane in running {
        let lane = tokio::time::timeout(PATIENCE, lane).await;
        sessions.extend(lane.map_err(|_| format!("setting up took longer than {PATIENCE:?}"))???);
    }
    Ok(sessions)
}

/// Logs in on the page for it. Returns what the header `Cookie` says from then on.
pub async fn log_in_on_page(address: SocketAddr, account: &Account) -> Result<Arc<str>> {
    let Account { email, password } = account;
    let body = format!("email={}&password={password}", email.replace('@', "%40"));
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(address).await?;
    let answer = connection.exchange(request.as_bytes()).await?;
    Ok(answer.cookie().ok_or_else(|| format!("a login without a cookie: {}", answer.status))?.into())
}

/// Deals items out to `lanes` hands, as evenly as they go.
pub fn deal<T>(items: impl IntoIterator<Item = T>, lanes: usize) -> Vec<Vec<T>> {
    let mut hands: Vec<Vec<T>> = std::iter::repeat_with(Vec::new).take(lanes).collect();
    for (turn, item) in items.into_iter().enumerate() {
        if let Some(hand) = hands.get_mut(turn % lanes) {
            hand.push(item);
        }
    }
    hands
}

#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

struct Lane {
    connection: Connection,
    work: Work,
    request: Vec<u8>,
    micros: Vec<u32>,
    failures: BTreeMap<String, u32>,
}

impl Lane {
    fn new(connection: Connection, work: Work) -> Self {
        Self { connection, work, request: Vec::new(), micros: Vec::new(), failures: BTreeMap::new() }
    }

    /// Asks until the window ends. What is answered inside the window counts, also when it was asked before: otherwise
    /// slow requests would lose one lane's worth of answers at each edge.
    async fn drive(mut self, window: Window) -> Self {
        let mut begun = Instant::now();
        for turn in 0.. {
            if begun >= window.end {
                break;
            }
            self.work.write_request(turn, &mut self.request);
            let answer = self.connection.exchange(&self.request).await;
            let finished = Instant::now();
            let lost = answer.is_err();
            match answer.map_err(Error::from).and_then(|answer| self.work.accept(turn, &answer)) {
                Ok(()) if finished >= window.start && finished < window.end => {
                    self.micros.push(u32::try_from((finished - begun).as_micros()).unwrap_or(u32::MAX));
                }
                Ok(()) => {}
                Err(error) => *self.failures.entry(error.to_string()).or_default() += 1,
            }
            if lost {
                break;
            }
            begun = finished;
        }
        self
    }

    async fn go_round_once(mut self) -> Result<Vec<Session>> {
        let mut sessions = Vec::new();
        for turn in 0..self.work.len() {
            self.work.write_request(turn, &mut self.request);
            let answer = self.connection.exchange(&self.request).await?;
            self.work.accept(turn, &answer)?;
            if matches!(self.work, Work::Register(_) | Work::Login(_)) {
                sessions.push(Session::from_answer(&answer)?);
            }
        }
        sessions.extend(self.work.into_sessions());
        Ok(sessions)
    }
}

impl Account {
    pub fn new(number: usize) -> Result<Self> {
        Ok(Self { email: format!("load-{number}@example.com"), password: random_hex(16)? })
    }
}

impl Work {
    fn len(&self) -> usize {
        match self {
            Self::Register(accounts) | Self::Login(accounts) => accounts.len(),
            Self::Refresh(sessions)
            | Self::Verify(sessions)
            | Self::Introspect(_, sessions)
            | Self::Get(_, sessions) => sessions.len(),
            Self::Page(..) | Self::Empty => 1,
        }
    }

    fn into_sessions(self) -> Vec<Session> {
        match self {
            Self::Refresh(sessions)
            | Self::Verify(sessions)
            | Self::Introspect(_, sessions)
            | Self::Get(_, sessions) => sessions,
            Self::Register(_) | Self::Login(_) | Self::Page(..) | Self::Empty => Vec::new(),
        }
    }

    fn write_request(&self, turn: usize, request: &mut Vec<u8>) {
        request.clear();
        match self {
            Self::Register(accounts) => write_credentials(request, "/api/v1/auth/register", pick(accounts, turn)),
            Self::Login(accounts) => write_credentials(request, "/api/v1/auth/login", pick(accounts, turn)),
            Self::Refresh(sessions) => {
                let token = &pick(sessions, turn).refresh_token;
                write_post(request, "/api/v1/sessions/refresh", &[b"{\"refresh_token\":\"", token, b"\"}"]);
            }
            Self::Verify(sessions) => write_get(request, "/api/v1/auth/verify", pick(sessions, turn)),
            Self::Introspect(client, sessions) => {
                write_introspection(request, client, &pick(sessions, turn).access_token);
            }
            Self::Get(path, sessions) => write_get(request, path, pick(sessions, turn)),
            Self::Page(path, cookie) => {
                for part in ["GET ", path, " HTTP/1.1\r\nHost: localhost\r\nCookie: ", cookie, "\r\n\r\n"] {
                    request.extend_from_slice(part.as_bytes());
                }
            }
            Self::Empty => request.extend_from_slice(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        }
    }

    /// Checks the answer to this turn's request and keeps the tokens of a refresh.
    fn accept(&mut self, turn: usize, answer: &Answer) -> Result<()> {
        let wanted = if matches!(self, Self::Register(_)) { 201 } else { 200 };
        if answer.status != wanted {
            // Only the stable code: the rest of a problem differs from answer to answer, and failures are counted.
            let code = answer.string("code").unwrap_or(b"without a code");
            return Err(format!("{} {}", answer.status, String::from_utf8_lossy(code)).into());
        }
        match self {
            Self::Register(_) | Self::Login(_) => Session::from_answer(answer).map(drop),
            Self::Refresh(sessions) => {
                let turn = turn % sessions.len();
                sessions.get_mut(turn).map_or(Ok(()), |session| session.replace_by(answer))
            }
            Self::Introspect(..) if answer.string("sub").is_none() => Err("a token that is not active".into()),
            Self::Introspect(..) | Self::Verify(_) | Self::Get(..) | Self::Page(..) | Self::Empty => Ok(()),
        }
    }
}

impl Session {
    fn from_answer(answer: &Answer) -> Result<Self> {
        let mut session = Self { access_token: Vec::new(), refresh_token: Vec::new() };
        session.replace_by(answer)?;
        Ok(session)
    }

    fn replace_by(&mut self, answer: &Answer) -> Result<()> {
        let access = answer.string("access_token").ok_or("an answer without access_token")?;
        let refresh = answer.string("refresh_token").ok_or("an answer without refresh_token")?;
        if refresh == self.refresh_token {
            return Err("a refresh that did not rotate the token".into());
        }
        self.access_token.clear();
        self.access_token.extend_from_slice(access);
        self.refresh_token.clear();
        self.refresh_token.extend_from_slice(refresh);
        Ok(())
    }
}

impl Outcome {
    fn of(lanes: Vec<Lane>, length: Duration, cpu: Option<(Duration, Duration)>) -> Result<Self> {
        let mut micros = Vec::new();
        let mut failures = BTreeMap::new();
        let mut sessions = Vec::new();
        for lane in lanes {
            micros.extend(lane.micros);
            for (failure, count) in lane.failures {
                *failures.entry(failure).or_default() += count;
            }
            sessions.extend(lane.work.into_sessions());
        }
        if micros.is_empty() {
            failures.insert("no answer inside the window".to_owned(), 1);
        }
        micros.sort_unstable();
        let count = f64::from(u32::try_from(micros.len())?);
        let each = |total: Duration| total.as_secs_f64() * 1e6 / count;
        let round = Round {
            rate: count / length.as_secs_f64(),
            p50: percentile(&micros, 50),
            p99: percentile(&micros, 99),
            server_cpu: cpu.map(|(server, _)| each(server)),
            client_cpu: cpu.map(|(_, client)| each(client)),
        };
        Ok(Self { round, failures, sessions })
    }
}

/// Whose turn it is.
#[expect(
    clippy::indexing_slicing,
    reason = "a remainder by the length is an index, and no lane is dealt an empty hand"
)]
fn pick<T>(items: &[T], turn: usize) -> &T {
    &items[turn % items.len()]
}

fn write_credentials(request: &mut Vec<u8>, path: &str, account: &Account) {
    let Account { email, password } = account;
    let body = format!(r#"{{"email":"{email}","password":"{password}"}}"#);
    write_post(request, path, &[body.as_bytes()]);
}

fn write_introspection(request: &mut Vec<u8>, client: &str, token: &[u8]) {
    let head = format!(
        "POST /oauth/introspect HTTP/1.1\r\nHost: localhost\r\nAuthorization: {client}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\ntoken=",
        "token=".len() + token.len()
    );
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(token);
}

fn write_get(request: &mut Vec<u8>, path: &str, session: &Session) {
    for part in [b"GET ", path.as_bytes(), b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "] {
        request.extend_from_slice(part);
    }
    request.extend_from_slice(&session.access_token);
    request.extend_from_slice(b"\r\n\r\n");
}

fn write_post(request: &mut Vec<u8>, path: &str, body: &[&[u8]]) {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let head = format_args!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    // Writing to a Vec cannot fail.
    let _ = request.write_fmt(head);
    for part in body {
        request.extend_from_slice(part);
    }
}
