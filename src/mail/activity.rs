//! What emails tell of an action: when, where and with which device.

use crate::audit::Actor;
use crate::devices::Devices;
use crate::types::{Requester, Timestamp, UserId};

/// The time, place and device of an action. Texts from clients are sanitized when they become template variables.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The device, such as "Firefox on Windows".
    pub device: String,
    /// The place, such as "Oslo, Norway", if it is known.
    pub place: Option<String>,
    /// The IP address.
    pub ip: Option<String>,
    /// The time.
    pub at: Timestamp,
    /// Whether an operator acted, of whom device, place and IP address are not told.
    pub by_operator: bool,
}

impl Activity {
    /// Creates the description of what `by` did to the account of `owner` at `at`.
    pub fn new(devices: &Devices, by: &Actor, owner: UserId, at: Timestamp) -> Self {
        if by.is_operator_for(owner) {
            return Self { device: String::new(), place: None, ip: None, at, by_operator: true };
        }
        let Requester { ip, user_agent, .. } = &by.requester;
        Self {
            device: devices.device(user_agent.as_deref()).label,
            place: ip.and_then(|ip| devices.place(ip)).map(|place| place.label()),
            ip: ip.map(|ip| ip.to_string()),
            at,
            by_operator: false,
        }
    }
}
