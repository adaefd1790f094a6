//! The URL of a Postgres server, with the parameters and environment variables that PostgreSQL's own programs know.

mod parameters;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::parse::Parsed;
use parameters::Parameters;

const DEFAULT_PORT: u16 = 5432;

/// A URL of Postgres, understood.
pub struct PostgresUrl {
    /// The servers to try, in this order.
    pub hosts: Vec<Host>,
    /// Whether the servers are tried in a random order instead.
    pub is_random_order: bool,
    /// The role, unless it is named like the user of the system.
    pub user: Option<String>,
    /// The database, unless it is named like the role.
    pub database: Option<String>,
    /// The password, unless it is in the password file.
    pub password: Option<Zeroizing<String>>,
    /// The password file, unless it is the one in the home directory.
    pub password_file: Option<PathBuf>,
    /// The name that the server displays.
    pub application_name: String,
    /// Options of the session, as on the command line of the server.
    pub options: Option<String>,
    /// Which servers are used.
    pub target: TargetSession,
    /// The longest time that it may take to connect to one address.
    pub connect_timeout: Option<Duration>,
    /// The time that sent bytes may stay unacknowledged.
    pub user_timeout: Option<Duration>,
    /// How the system probes an idle connection.
    pub keep_alive: Option<KeepAlive>,
    /// How connections are encrypted.
    pub tls: TlsOptions,
    /// Whether the password is bound to the server's certificate.
    pub channel_binding: ChannelBinding,
    /// The ways to authenticate that the server may ask for. Empty means all.
    pub allowed_auth: Vec<Auth>,
}

/// A server to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name, or the folder of a Unix socket, which begins with `/` or `@`. Empty for the usual folder.
    pub name: String,
    /// The address to connect to, instead of looking up the name.
    pub address: Option<IpAddr>,
    /// The port, which is a part of a socket's name too.
    pub port: u16,
}

/// The servers that are used (`target_session_attrs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the values of the parameter")]
pub enum TargetSession {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// The way in which the system probes an idle connection. What is `None` is left to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// The time without traffic after which it is probed.
    pub idle: Option<Duration>,
    /// The time between two probes.
    pub interval: Option<Duration>,
    /// The number of unanswered probes after which the connection is lost.
    pub count: Option<u32>,
}

/// The demands on encryption and on the server's certificate (`sslmode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the values of the parameter")]
pub enum TlsMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The certificate authorities that are trusted (`sslrootcert`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the system.
    System,
    /// Those in a PEM file.
    File(PathBuf),
    /// Those in `~/.postgresql/root.crt`, if it exists.
    Home,
}

/// The way in which connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whether a connection is encrypted and the server verified.
    pub mode: TlsMode,
    /// The certificate authorities that are trusted.
    pub roots: Roots,
    /// Whether TLS begins without asking the server for it.
    pub is_direct: bool,
    /// A PEM file of revocation lists.
    pub revocation_lists: Option<PathBuf>,
    /// The PEM file of the client's certificate, unless it is `~/.postgresql/postgresql.crt`.
    pub certificate: Option<PathBuf>,
    /// The PEM file of the client's key, unless it is `~/.postgresql/postgresql.key`.
    pub key: Option<PathBuf>,
    /// Whether a client certificate is presented.
    pub has_certificate: bool,
    /// Whether the name of the server is sent in clear.
    pub is_name_sent: bool,
    /// Whether TLS 1.2 is spoken.
    pub has_tls12: bool,
    /// Whether TLS 1.3 is spoken.
    pub has_tls13: bool,
}

/// The binding of a SCRAM login to the server's certificate (`channel_binding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the values of the parameter")]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// A way to authenticate (`require_auth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A password in clear.
    Password,
    /// An MD5 of the password.
    Md5,
    /// SCRAM-SHA-256.
    Scram,
    /// None, or only a certificate.
    None,
    /// One that is not spoken.
    Other,
}

const AUTH: [(&str, Auth); 7] = [
    ("password", Auth::Password),
    ("md5", Auth::Md5),
    ("scram-sha-256", Auth::Scram),
    ("none", Auth::None),
    ("gss", Auth::Other),
    ("sspi", Auth::Other),
    ("oauth", Auth::Other),
];

impl PostgresUrl {
    /// Parses `url`. A parameter that it does not set is taken from `environment`, unless keyturn has a default for it.
    /// Errors show no value, because each can be a part of a password.
    pub fn parse(url: &str, environment: impl Fn(&str) -> Option<String>) -> Parsed<Self> {
        let parameters = Parameters::read(url, environment)?;
        let text = |name| parameters.get(name).map(str::to_owned);
        let seconds = |name| Ok::<_, String>(parameters.number(name)?.map(|value| Duration::from_secs(value.into())));
        let keep_alive = if parameters.get("keepalives") == Some("0") {
            None
        } else {
            let count = parameters.number("keepalives_count")?;
            Some(KeepAlive { idle: seconds("keepalives_idle")?, interval: seconds("keepalives_interval")?, count })
        };
        parameters.choice("client_encoding", &[("UTF8", ()), ("utf8", ()), ("UTF-8", ()), ("auto", ())])?;
        Ok(Self {
            hosts: hosts(&parameters)?,
            is_random_order: parameters.choice("load_balance_hosts", &[("disable", false), ("random", true)])?,
            user: text("user"),
            database: text("dbname"),
            password: text("password").map(Zeroizing::new),
            password_file: text("passfile").map(PathBuf::from),
            application_name: text("application_name").unwrap_or_default(),
            options: text("options"),
            target: parameters.choice(
                "target_session_attrs",
                &[
                    ("any", TargetSession::Any),
                    ("read-write", TargetSession::ReadWrite),
                    ("read-only", TargetSession::ReadOnly),
                    ("primary", TargetSession::Primary),
                    ("standby", TargetSession::Standby),
                    ("prefer-standby", TargetSession::PreferStandby),
                ],
            )?,
            connect_timeout: seconds("connect_timeout")?,
            user_timeout: parameters.number("tcp_user_timeout")?.map(|value| Duration::from_millis(value.into())),
            keep_alive,
            tls: tls(&parameters)?,
            channel_binding: parameters.choice(
                "channel_binding",
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?,
            allowed_auth: allowed_auth(parameters.get("require_auth").unwrap_or_default())?,
        })
    }
}

/// Returns the servers. A list of one port is the port of all.
fn hosts(parameters: &Parameters) -> Parsed<Vec<Host>> {
    let list = |name| parameters.get(name).map(|list| list.split(',').map(str::trim).collect::<Vec<_>>());
    let names = list("host");
    let addresses = list("hostaddr");
    let ports = list("port");
    let count = names.as_ref().or(addresses.as_ref()).map_or(1, Vec::len);
    let is_short = |list: &Option<Vec<&str>>| list.as_ref().is_some_and(|list| list.len() != count);
    if is_short(&addresses) || (is_short(&ports) && ports.as_ref().is_some_and(|ports| ports.len() > 1)) {
        return Err("must have as many hostaddr and port as host, or one port".to_owned());
    }
    let host = |index| {
        let address = element(&addresses, index).filter(|address| !address.is_empty());
        let address = address.map(str::parse).transpose().map_err(|_| "hostaddr must be IP addresses".to_owned())?;
        let port = element(&ports, index).or_else(|| element(&ports, 0)).filter(|port| !port.is_empty());
        let port = port.map(str::parse).transpose().map_err(|_| "port must be numbers below 65536".to_owned())?;
        let name = element(&names, index).unwrap_or_default().to_owned();
        Ok(Host { name, address, port: port.unwrap_or(DEFAULT_PORT) })
    };
    (0..count).map(host).collect()
}

fn element<'a>(list: &Option<Vec<&'a str>>, index: usize) -> Option<&'a str> {
    list.as_ref()?.get(index).copied()
}

fn tls(parameters: &Parameters) -> Parsed<TlsOptions> {
    const MODES: [(&str, TlsMode); 6] = [
        ("disable", TlsMode::Disable),
        ("allow", TlsMode::Allow),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ];
    let path = |name| parameters.get(name).map(PathBuf::from);
    let roots = match path("sslrootcert") {
        None => Roots::Home,
        Some(path) if path.as_os_str() == "system" => Roots::System,
        Some(path) => Roots::File(path),
    };
    let mode = match (parameters.get("sslmode"), &roots) {
        (None, Roots::System) => TlsMode::VerifyFull,
        (None, _) => TlsMode::Prefer,
        (Some(_), _) => parameters.choice("sslmode", &MODES)?,
    };
    if roots == Roots::System && mode != TlsMode::VerifyFull {
        return Err(
            "sslrootcert=system needs sslmode=verify-full: anybody can get a certificate of some name".to_owned()
        );
    }
    let is_direct = parameters.choice("sslnegotiation", &[("postgres", false), ("direct", true)])?;
    if is_direct && mode < TlsMode::Require {
        return Err("sslnegotiation=direct needs an sslmode of at least require".to_owned());
    }
    let versions = [("TLSv1", 0), ("TLSv1.1", 1), ("TLSv1.2", 2), ("TLSv1.3", 3)];
    let lowest = parameters.choice("ssl_min_protocol_version", &versions)?;
    let highest = match parameters.get("ssl_max_protocol_version") {
        None => 3,
        Some(_) => parameters.choice("ssl_max_protocol_version", &versions)?,
    };
    if highest < 2 || lowest > highest {
        return Err("ssl_max_protocol_version must be TLSv1.2 or TLSv1.3, and not below the lowest".to_owned());
    }
    Ok(TlsOptions {
        mode,
        roots,
        is_direct,
        revocation_lists: path("sslcrl"),
        certificate: path("sslcert"),
        key: path("sslkey"),
        has_certificate: parameters.choice("sslcertmode", &[("allow", true), ("disable", false)])?,
        is_name_sent: parameters.choice("sslsni", &[("1", true), ("0", false)])?,
        has_tls12: lowest <= 2,
        has_tls13: highest == 3,
    })
}

/// Returns the ways to authenticate of a list. Where each has a `!` in front, all others.
fn allowed_auth(list: &str) -> Parsed<Vec<Auth>> {
    let mut named = Vec::new();
    let mut negated = 0_usize;
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        negated += usize::from(name.starts_with('!'));
        let name = name.trim_start_matches('!');
        let auth = AUTH.iter().find(|(known, _)| *known == name);
        named.push(auth.ok_or("the parameter require_auth has an unknown method")?.1);
    }
    if negated == 0 {
        return Ok(named);
    }
    if negated != named.len() {
        return Err("the parameter require_auth must have a ! in front of each method or of none".to_owned());
    }
    Ok(AUTH.iter().map(|(_, auth)| *auth).filter(|auth| !named.contains(auth)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Parsed<PostgresUrl> {
        PostgresUrl::parse(url, |_| None)
    }

    #[track_caller]
    fn hosts(url: &str) -> Vec<(String, Option<IpAddr>, u16)> {
        parse(url).map(|url| url.hosts.into_iter().map(|host| (host.name, host.address, host.port)).collect()).unwrap()
    }

    #[test]
    fn hosts_and_ports_are_read_wherever_they_stand() {
        let host = |name: &str, port| (name.to_owned(), None, port);
        for (url, expected) in [
            ("postgres://db.example/k", vec![host("db.example", 5432)]),
            ("postgresql://u@db.example:5433", vec![host("db.example", 5433)]),
            ("postgres://a:1,b:2,c/k", vec![host("a", 1), host("b", 2), host("c", 5432)]),
            ("postgres://a,b/k?port=6000", vec![host("a", 6000), host("b", 6000)]),
            ("postgres://[::1]:5432,[fe80::1]/k", vec![host("::1", 5432), host("fe80::1", 5432)]),
            ("postgres://%2Frun%2Fpg/k", vec![host("/run/pg", 5432)]),
            ("postgres:///k?host=/run/pg&port=7", vec![host("/run/pg", 7)]),
            ("postgres:///k", vec![host("", 5432)]),
            ("postgres://localhost:/k", vec![host("localhost", 5432)]),
        ] {
            assert_eq!(hosts(url), expected, "{url}");
        }
        let both = ("db.example".to_owned(), Some([10, 0, 0, 1].into()), 5432);
        assert_eq!(hosts("postgres://db.example/k?hostaddr=10.0.0.1"), [both]);
        for wrong in ["a,b/k?hostaddr=10.0.0.1", "a,b,c/k?port=1,2", "a/k?hostaddr=db.example", "a/k?port=99999"] {
            assert!(parse(&format!("postgres://{wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_url_beats_the_defaults_and_these_the_environment() {
        let environment = |name: &str| match name {
            "PGPASSWORD" => Some("of the environment".to_owned()),
            "PGUSER" => Some("somebody".to_owned()),
            "PGSSLMODE" => Some("require".to_owned()),
            _ => None,
        };
        let url = "postgres://kt:p%40ss@db/k?connect_timeout=9&target%5Fsession_attrs=any&keepalives_count=0";
        let parsed = PostgresUrl::parse(url, environment).ok().unwrap();
        assert_eq!(parsed.user.as_deref(), Some("kt"));
        assert_eq!(parsed.password.as_deref().map(String::as_str), Some("p@ss"));
        assert_eq!(parsed.database.as_deref(), Some("k"));
        assert_eq!((parsed.connect_timeout, parsed.target), (Some(Duration::from_secs(9)), TargetSession::Any));
        assert_eq!((parsed.tls.mode, &*parsed.application_name), (TlsMode::Require, "keyturn"));
        let keep_alive =
            KeepAlive { idle: Some(Duration::from_secs(10)), interval: Some(Duration::from_secs(5)), count: None };
        assert_eq!(parsed.keep_alive, Some(keep_alive));
        assert_eq!(parsed.user_timeout, Some(Duration::from_secs(5)));
        let plain = PostgresUrl::parse("postgres://db?keepalives=0&tcp_user_timeout=0", environment).ok().unwrap();
        assert_eq!(plain.password.as_deref().map(String::as_str), Some("of the environment"));
        assert_eq!((plain.user.as_deref(), plain.database, plain.keep_alive), (Some("somebody"), None, None));
        assert_eq!((plain.user_timeout, plain.target), (None, TargetSession::ReadWrite));
    }

    #[test]
    fn what_is_not_taken_is_refused_by_name_and_no_value_is_shown() {
        for (parameter, text) in [
            ("sslpassword=hidden", "sslpassword is not taken: store the key unencrypted"),
            ("service=hidden", "service is not taken: write the parameters"),
            ("gssencmode=require", "gssencmode can only be disable or prefer"),
            ("sslmode=hidden", "sslmode must be disable or allow or prefer or require or verify-ca or verify-full"),
            ("connect_timeout=hidden", "connect_timeout must be a whole number"),
            ("client_encoding=LATIN1", "client_encoding must be UTF8"),
            ("sslrootcert=system&sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
            ("sslnegotiation=direct", "sslnegotiation=direct needs an sslmode"),
            ("ssl_max_protocol_version=TLSv1.1", "must be TLSv1.2 or TLSv1.3"),
            ("sslcertmode=require", "sslcertmode must be allow or disable"),
            ("require_auth=md5,!none", "require_auth must have a ! in front of each"),
            ("hidden=1", "has a parameter that PostgreSQL does not know"),
        ] {
            let error = parse(&format!("postgres://db/k?password=hidden&{parameter}")).err().unwrap();
            assert!(error.contains(text) && !error.contains("hidden"), "{parameter}: {error}");
        }
        let service = |name: &str| (name == "PGSERVICE").then(|| "hidden".to_owned());
        let error = PostgresUrl::parse("postgres://db/k", service).err().unwrap();
        assert!(error.contains("PGSERVICE is not taken") && !error.contains("hidden"), "{error}");
    }

    #[test]
    fn tls_is_preferred_and_the_system_verifies_in_full() {
        let tls = |query: &str| parse(&format!("postgres://db/k?{query}")).map(|url| url.tls).unwrap();
        assert_eq!((tls("").mode, tls("").roots), (TlsMode::Prefer, Roots::Home));
        assert_eq!(tls("ssl=true").mode, TlsMode::Require);
        let system = tls("sslrootcert=system");
        assert_eq!((system.mode, system.roots), (TlsMode::VerifyFull, Roots::System));
        let file = tls("sslmode=verify-ca&sslrootcert=/ca.pem&sslsni=0&ssl_min_protocol_version=TLSv1.3");
        assert_eq!((file.mode, file.roots), (TlsMode::VerifyCa, Roots::File("/ca.pem".into())));
        assert_eq!((file.is_name_sent, file.has_tls12, file.has_tls13), (false, false, true));
        assert!(!tls("ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1.2").has_tls13);
    }

    #[test]
    fn ways_to_authenticate_are_named_or_excluded() {
        let allowed = |list: &str| parse(&format!("postgres://db/k?require_auth={list}")).unwrap().allowed_auth;
        assert_eq!(allowed(""), []);
        assert_eq!(allowed("scram-sha-256,none"), [Auth::Scram, Auth::None]);
        let rest = allowed("!password,!md5");
        assert!(rest.contains(&Auth::Scram) && !rest.contains(&Auth::Password) && !rest.contains(&Auth::Md5));
    }
}
