//! Determines the IP address of a client behind proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Returns the IP address of the client. `peer` is the other end of the connection. `forwarded_for` are the lines of
/// `X-Forwarded-For` in their order; each is a list to which every proxy appends the address of its client.
///
/// The list is read from the end, and an entry is used only if a proxy in `trusted` wrote it, because all entries
/// before the first untrusted address may be forged. An invalid entry ends the search at the last valid address.
pub(super) fn client_address(peer: IpAddr, forwarded_for: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    for entry in forwarded_for.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
        let Some(hop) = parse_hop(entry.trim()) else { break };
        client = hop;
    }
    client
}

/// Parses an address, with or without brackets and port.
fn parse_hop(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => entry.parse().ok().or_else(|| entry.parse().ok().map(|socket: SocketAddr| socket.ip())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(peer: &str, forwarded_for: &[&str]) -> IpAddr {
        let trusted = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|network| network.parse().unwrap());
        client_address(ip(peer), forwarded_for, &trusted)
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_client_whatever_it_sends() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
        assert_eq!(client("203.0.113.9", &["10.0.0.1, 10.0.0.2"]), ip("203.0.113.9"));
        assert_eq!(client_address(ip("127.0.0.1"), &["198.51.100.1"], &[]), ip("127.0.0.1"));
    }

    #[test]
    fn the_first_stranger_from_the_right_is_the_client() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["192.0.2.66, 198.51.100.1,10.0.0.2 , 10.0.0.3"]), ip("198.51.100.1"));
        assert_eq!(client("2001:db8:ffff::1", &["2001:db8::7"]), ip("2001:db8::7"));
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(client("10.0.0.1", &["192.0.2.66", "198.51.100.1, 10.0.0.2", "10.0.0.3"]), ip("198.51.100.1"));
    }

    #[test]
    fn when_all_are_trusted_the_first_is_the_client() {
        assert_eq!(client("10.0.0.1", &["10.0.0.9, 10.0.0.2"]), ip("10.0.0.9"));
        assert_eq!(client("10.0.0.1", &[]), ip("10.0.0.1"));
    }

    #[test]
    fn garbage_ends_the_walk_at_the_last_hop_known() {
        for garbage in
            ["", "unknown", "_hidden", "1.2.3", "1.2.3.4:99999", "[1.2.3.4]", "[::1", "::1]", "1.2.3.4;x", "٣.1.1.1"]
        {
            assert_eq!(
                client("10.0.0.1", &[&format!("198.51.100.1, {garbage}, 10.0.0.2")]),
                ip("10.0.0.2"),
                "{garbage}"
            );
            assert_eq!(client("10.0.0.1", &["198.51.100.1", garbage]), ip("10.0.0.1"), "{garbage}");
        }
    }

    #[test]
    fn ports_and_brackets_are_left_off() {
        for (entry, address) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
        ] {
            assert_eq!(client("10.0.0.1", &[entry]), ip(address), "{entry}");
        }
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
        assert_eq!(client("::ffff:203.0.113.9", &[]), ip("203.0.113.9"));
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.1, ::ffff:10.0.0.2"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["[::ffff:198.51.100.1]:80"]), ip("198.51.100.1"));
    }
}
