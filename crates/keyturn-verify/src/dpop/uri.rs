//! URIs of requests, brought into one form (RFC 3986 §6.2.2 and §6.2.3).

/// Returns the URI in the form in which two URIs of the same request are equal, without query and fragment: scheme and
/// host in lower case, no default port, nothing percent-encoded that need not be, no dot segments. Returns `None` for
/// what is no http or https URI with a host, or has credentials.
fn normalize(uri: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    if !uri.bytes().all(allowed) {
        return None;
    }
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => "80",
        "https" => "443",
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = split_port(authority)?;
    let mut normal = format!("{scheme}://{}", host.to_ascii_lowercase());
    if !port.is_empty() && port != default_port {
        normal.push(':');
        normal.push_str(port);
    }
    push_path(&mut normal, &decode_unreserved(path)?);
    Some(normal)
}

/// Returns whether two URIs are those of the same request.
pub fn is_same_request(one: &str, other: &str) -> bool {
    normalize(one).is_some_and(|one| normalize(other) == Some(one))
}

/// Splits an authority into its host, which is a name or an address, and its port, which may be empty.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let end = match authority.strip_prefix('[') {
        Some(address) => address.find(']')?.checked_add(2)?,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(end)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')),
        None => host.bytes().all(is_name),
    };
    let port = if port.is_empty() { port } else { port.strip_prefix(':')? };
    let is_port = port.len() <= 5 && !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
    (!host.is_empty() && is_host && is_port).then_some((host, port))
}

/// Decodes what is percent-encoded without need, and writes the rest in upper case.
fn decode_unreserved(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut parts = path.split('%');
    decoded.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // `from_str_radix` takes a sign, too.
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            decoded.push(char::from(byte));
        } else {
            decoded.push('%');
            decoded.push_str(&digits.to_ascii_uppercase());
        }
        decoded.push_str(rest);
    }
    Some(decoded)
}

/// Appends a path without its dot segments (RFC 3986 §5.2.4). An empty path is `/`.
fn push_path(normal: &mut String, path: &str) {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut kept: Vec<&str> = Vec::with_capacity(segments.len());
    for segment in &segments {
        match *segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    for segment in &kept {
        normal.push('/');
        normal.push_str(segment);
    }
    if kept.is_empty() || matches!(segments.last(), Some(&("." | ".."))) {
        normal.push('/');
    }
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn uris_of_the_same_request_are_equal() {
        for (uri, normal) in [
            ("https://auth.example/a", "https://auth.example/a"),
            ("HTTPS://Auth.Example:443/a?b=c#d", "https://auth.example/a"),
            ("http://auth.example:80", "http://auth.example/"),
            ("http://auth.example:/", "http://auth.example/"),
            ("https://auth.example:80/", "https://auth.example:80/"),
            ("https://auth.example?a", "https://auth.example/"),
            ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"),
            ("https://[::1]:443/", "https://[::1]/"),
            ("https://a/%7euser/%2f/%C3%a9/%41", "https://a/~user/%2F/%C3%A9/A"),
            ("https://a/b/./c/../d", "https://a/b/d"),
            ("https://a/b/%2e%2E/d", "https://a/d"),
            ("https://a/b/..", "https://a/"),
            ("https://a/b/c/..", "https://a/b/"),
            ("https://a/b/.", "https://a/b/"),
            ("https://a/../../b", "https://a/b"),
            ("https://a/b//c/", "https://a/b//c/"),
            ("https://a/B/%2B", "https://a/B/%2B"),
        ] {
            assert_eq!(normalize(uri).as_deref(), Some(normal), "{uri}");
        }
    }

    #[test]
    fn what_is_no_uri_of_a_request_has_no_normal_form() {
        for uri in [
            "",
            "/a",
            "auth.example/a",
            "ftp://auth.example/",
            "https:/auth.example/",
            "https:///a",
            "https://:443/a",
            "https://user@auth.example/",
            "https://user:password@auth.example/",
            "https://auth.example:a/",
            "https://auth.example:0443/",
            "https://auth.example:+443/",
            "https://auth.example:443443/",
            "https://auth.example:1:2/",
            "https://auth%2Eexample/",
            "https://[::1/",
            "https://[::1]a/",
            "https://[v1.a]/",
            "https://a/%",
            "https://a/%4",
            "https://a/%+1",
            "https://a/%zz",
            "https://a/ b",
            " https://a/b",
            "https://a/b\n",
            "https:\\\\a\\b",
            "https://a/\u{e9}",
        ] {
            assert_eq!(normalize(uri), None, "{uri}");
        }
    }
}
