//! The parameters that PostgreSQL's own programs know: which are taken, and their values.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::config::parse::Parsed;

/// The parameters that are taken, with the environment variable of each and the value where neither is set.
const TAKEN: [(&str, &str, &str); 31] = [
    ("host", "PGHOST", ""),
    ("hostaddr", "PGHOSTADDR", ""),
    ("port", "PGPORT", ""),
    ("user", "PGUSER", ""),
    ("password", "PGPASSWORD", ""),
    ("passfile", "PGPASSFILE", ""),
    ("dbname", "PGDATABASE", ""),
    ("application_name", "", "keyturn"),
    ("fallback_application_name", "", ""),
    ("options", "PGOPTIONS", ""),
    ("client_encoding", "", "UTF8"),
    ("target_session_attrs", "", "read-write"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", "disable"),
    // By these a server detects a lost database.
    ("connect_timeout", "", "2"),
    ("tcp_user_timeout", "", "5000"),
    ("keepalives", "", "1"),
    ("keepalives_idle", "", "10"),
    ("keepalives_interval", "", "5"),
    ("keepalives_count", "", "3"),
    ("sslmode", "PGSSLMODE", ""),
    ("sslnegotiation", "PGSSLNEGOTIATION", "postgres"),
    ("sslrootcert", "PGSSLROOTCERT", ""),
    ("sslcrl", "PGSSLCRL", ""),
    ("sslcert", "PGSSLCERT", ""),
    ("sslkey", "PGSSLKEY", ""),
    ("sslcertmode", "PGSSLCERTMODE", "allow"),
    ("sslsni", "PGSSLSNI", "1"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", "TLSv1.2"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", ""),
    ("channel_binding", "PGCHANNELBINDING", "prefer"),
    ("require_auth", "PGREQUIREAUTH", ""),
];

/// The parameters that can only have the value that stands here, by which nothing changes.
const WITHOUT_EFFECT: [(&str, &str, &[&str]); 4] = [
    ("gssencmode", "PGGSSENCMODE", &["disable", "prefer"]),
    ("sslcompression", "PGSSLCOMPRESSION", &["0"]),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", &["3.0"]),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", &["3.0", "3.2", "latest"]),
];

/// The parameters that are refused, with the environment variable of each and what to use instead.
const REFUSED: [(&str, &str, &str); 15] = [
    ("service", "PGSERVICE", "write the parameters of the service into the URL"),
    ("servicefile", "PGSERVICEFILE", "write the parameters of the service into the URL"),
    ("sslpassword", "", "store the key unencrypted, by openssl pkey, and name it by sslkey"),
    ("sslcrldir", "PGSSLCRLDIR", "write the revocation lists into one file and name it by sslcrl"),
    ("requirepeer", "PGREQUIREPEER", "see that only the database's user can write to the folder of its socket"),
    ("replication", "", "remove it: keyturn reads no replication stream"),
    ("krbsrvname", "PGKRBSRVNAME", "use a password or sslcert: keyturn speaks no Kerberos"),
    ("gsslib", "PGGSSLIB", "use a password or sslcert: keyturn speaks no Kerberos"),
    ("gssdelegation", "PGGSSDELEGATION", "use a password or sslcert: keyturn speaks no Kerberos"),
    ("scram_client_key", "", "use the password"),
    ("scram_server_key", "", "use the password"),
    ("oauth_issuer", "", "use a password or sslcert: keyturn speaks no OAuth to the database"),
    ("oauth_client_id", "", "use a password or sslcert: keyturn speaks no OAuth to the database"),
    ("oauth_client_secret", "", "use a password or sslcert: keyturn speaks no OAuth to the database"),
    ("sslkeylogfile", "", "remove it: keyturn stores no keys of sessions"),
];

/// The parameters of a URL, with what is set elsewhere.
pub(super) struct Parameters {
    set: Vec<(&'static str, Zeroizing<String>)>,
}

impl Parameters {
    /// Reads the parameters that are taken. A URL beats the defaults, and these the environment.
    pub(super) fn read(url: &str, environment: impl Fn(&str) -> Option<String>) -> Parsed<Self> {
        let mut set = of_url(url)?;
        for (name, _, text) in REFUSED {
            if set.iter().any(|(other, _)| *other == name) {
                return Err(format!("the parameter {name} is not taken: {text}"));
            }
        }
        for (name, variable, values) in WITHOUT_EFFECT {
            let value = set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_string());
            if value.or_else(|| environment(variable)).is_some_and(|value| !values.contains(&value.as_str())) {
                return Err(format!("the parameter {name} can only be {}", values.join(" or ")));
            }
        }
        for (_, variable, text) in REFUSED {
            if !variable.is_empty() && environment(variable).is_some_and(|value| !value.is_empty()) {
                return Err(format!("the variable {variable} is not taken: {text}"));
            }
        }
        for (name, variable, default) in TAKEN {
            let value = if variable.is_empty() { None } else { environment(variable) };
            let value = value.unwrap_or_else(|| default.to_owned());
            if !value.is_empty() && !set.iter().any(|(other, _)| *other == name) {
                set.push((name, Zeroizing::new(value)));
            }
        }
        Ok(Self { set })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value that `name` chooses, which must be set.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Parsed<T> {
        let value = self.get(name).unwrap_or_default();
        choices.iter().find(|(choice, _)| *choice == value).map(|(_, chosen)| *chosen).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            format!("the parameter {name} must be {}", names.join(" or "))
        })
    }

    /// Returns a number, of which zero and negative ones mean that there is none.
    pub(super) fn number(&self, name: &str) -> Parsed<Option<u32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number: i32 = value.trim().parse().map_err(|_| format!("the parameter {name} must be a whole number"))?;
        Ok(u32::try_from(number).ok().filter(|number| *number > 0))
    }
}

/// Returns the parameters of the URL itself, in which hosts and ports are lists. Later values replace earlier ones.
fn of_url(url: &str) -> Parsed<Vec<(&'static str, Zeroizing<String>)>> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    let (credentials, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (names, ports): (Vec<&str>, Vec<&str>) = hosts.split(',').map(split_port).unzip();
    let has_port = ports.iter().any(|port| !port.is_empty());
    let ports = if has_port { ports.join(",") } else { String::new() };
    let mut set = Vec::new();
    let parts =
        [("user", user), ("password", password), ("host", &names.join(",")), ("port", &ports), ("dbname", path)];
    for (name, value) in parts {
        put(&mut set, name, value)?;
    }
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // As JDBC has it.
        match (&*decoded(name)?, value) {
            ("ssl", "true") => put(&mut set, "sslmode", "require")?,
            (name, value) => put(&mut set, known(name)?, value)?,
        }
    }
    Ok(set)
}

fn put(set: &mut Vec<(&'static str, Zeroizing<String>)>, name: &'static str, value: &str) -> Parsed<()> {
    if !value.is_empty() {
        set.retain(|(other, _)| *other != name);
        set.push((name, Zeroizing::new(decoded(value)?)));
    }
    Ok(())
}

/// Returns the name of a parameter. An unknown one may be a part of a password and is not shown.
fn known(name: &str) -> Parsed<&'static str> {
    let taken = TAKEN.iter().chain(&REFUSED).map(|(name, ..)| *name);
    let mut all = taken.chain(WITHOUT_EFFECT.iter().map(|(name, ..)| *name));
    all.find(|known| *known == name).ok_or_else(|| "has a parameter that PostgreSQL does not know".to_owned())
}

fn decoded(text: &str) -> Parsed<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| "has percent-encoded bytes that are not UTF-8".to_owned())
}

/// Splits a host of a URL from its port, of which either can be empty.
fn split_port(host: &str) -> (&str, &str) {
    match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or_default()),
        None => host.split_once(':').unwrap_or((host, "")),
    }
}
