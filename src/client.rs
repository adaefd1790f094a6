//! Who is at the other end of a request, as far as it is remembered.

use std::net::IpAddr;

/// Characters of a user agent that are kept; longer ones are cut.
pub const MAX_USER_AGENT: usize = 512;

/// Where a request came from. Empty for what operators do on the command line.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
    /// The id that the request has in the log and in its answer.
    pub request_id: Option<String>,
}

impl Client {
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>, request_id: String) -> Self {
        let user_agent = user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect());
        Self { address, user_agent, request_id: Some(request_id) }
    }
}
