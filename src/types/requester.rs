//! The client that sends a request.

use std::net::IpAddr;

use super::Language;

/// The number of characters after which a user agent is cut off.
pub const MAX_USER_AGENT: usize = 512;

/// The client that sends a request. It is empty for commands on the command line.
#[derive(Clone, Debug, Default)]
pub struct Requester {
    /// The IP address of the client.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header, at most [`MAX_USER_AGENT`] characters.
    pub user_agent: Option<String>,
    /// The id of the request in the log and in its response.
    pub request_id: Option<String>,
    /// The language that the request names, of those that the server offers.
    pub language: Option<Language>,
}

impl Requester {
    /// Creates a requester. A long user agent is cut off at [`MAX_USER_AGENT`] characters.
    pub fn new(ip: Option<IpAddr>, user_agent: Option<&str>, request_id: String) -> Self {
        let user_agent = user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect());
        Self { ip, user_agent, request_id: Some(request_id), language: None }
    }
}
