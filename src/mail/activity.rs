//! What emails tell of an action: when, where and with which device.

use crate::audit::Actor;
use crate::devices::{Device, Devices};
use crate::texts::Language;
use crate::types::{Requester, Timestamp, UserId};

/// The time, place and device of an action. Texts from clients are sanitized when they become template variables.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The device.
    pub device: DeviceName,
    /// The place, such as "Oslo, Norway", if it is known.
    pub place: Option<String>,
    /// The IP address.
    pub ip: Option<String>,
    /// The time.
    pub at: Timestamp,
    /// Whether an operator acted, of whom device, place and IP address are not told.
    pub by_operator: bool,
}

/// The name of a device in emails.
#[derive(Clone, Debug, Default)]
pub struct DeviceName {
    name: Name,
}

#[derive(Clone, Debug, Default)]
enum Name {
    /// None, because it is not told.
    #[default]
    Hidden,
    /// One that the client has chosen.
    Chosen(String),
    /// That of what the user agent describes, such as "Firefox on Windows".
    Device(Device),
}

impl DeviceName {
    /// Creates a name that the client has chosen.
    pub fn chosen(name: impl Into<String>) -> Self {
        Self { name: Name::Chosen(name.into()) }
    }

    /// Returns the name in a language. It is empty if it is not told.
    pub(super) fn in_language(&self, language: Language) -> String {
        match &self.name {
            Name::Hidden => String::new(),
            Name::Chosen(name) => name.clone(),
            Name::Device(device) => device.in_language(language),
        }
    }
}

impl From<Device> for DeviceName {
    fn from(device: Device) -> Self {
        Self { name: Name::Device(device) }
    }
}

impl Activity {
    /// Creates the description of what `by` did to the account of `owner` at `at`.
    pub fn new(devices: &Devices, by: &Actor, owner: UserId, at: Timestamp) -> Self {
        if by.is_operator_for(owner) {
            return Self { device: DeviceName::default(), place: None, ip: None, at, by_operator: true };
        }
        let Requester { ip, user_agent, .. } = &by.requester;
        Self {
            device: devices.device(user_agent.as_deref()).into(),
            place: ip.and_then(|ip| devices.place(ip)).map(|place| place.label()),
            ip: ip.map(|ip| ip.to_string()),
            at,
            by_operator: false,
        }
    }
}
