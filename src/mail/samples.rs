//! Emails of each kind, with which templates are tested when they are loaded.

use super::activity::{Activity, DeviceName};
use super::email::{Email, Link, LoginRisk, MfaChange, ResetCause};
use crate::devices::{Device, DeviceType};
use crate::types::Timestamp;

/// The token in the links of samples. It has no character that an encoding would change.
pub(super) const TOKEN: &str = "kto_0000sample0000";

impl Email {
    /// Returns an email of each kind, in each form that templates have to render.
    pub(crate) fn samples() -> Vec<Self> {
        let at = Timestamp::from_secs(1_700_000_000);
        let link = || Link { url: format!("https://auth.example/account/page?token={TOKEN}"), expires_at: at };
        let new_email = || "new@auth.example".to_owned();
        let full = || Activity {
            device: firefox().into(),
            place: Some("Oslo, Norway".to_owned()),
            ip: Some("192.0.2.1".to_owned()),
            at,
            by_operator: false,
        };
        let bare = |by_operator| Activity { device: DeviceName::default(), place: None, ip: None, at, by_operator };
        let reasons = vec![LoginRisk::NewDevice, LoginRisk::NewCountry, LoginRisk::ImpossibleTravel];
        let mut samples = vec![
            Self::VerifyEmail { link: link(), is_new: true },
            Self::VerifyEmail { link: link(), is_new: false },
            Self::ResetPassword { link: link(), cause: ResetCause::Asked },
            Self::ResetPassword { link: link(), cause: ResetCause::Operator },
            Self::ResetPassword { link: link(), cause: ResetCause::Report },
            Self::Invitation { link: link() },
            Self::ChangeEmailOld { link: link(), new_email: new_email() },
            Self::ChangeEmailNew { link: link() },
            Self::EmailChanged { new_email: new_email(), by_operator: false },
            Self::EmailChanged { new_email: new_email(), by_operator: true },
            Self::AccountDeleted,
        ];
        for activity in [full(), bare(false), bare(true)] {
            samples.extend([
                Self::NewLogin { activity: activity.clone(), reasons: reasons.clone(), link: link() },
                Self::NewLogin { activity: activity.clone(), reasons: Vec::new(), link: link() },
                Self::RefreshReused { activity: activity.clone(), link: link() },
                Self::PasswordChanged { activity: activity.clone(), link: link() },
                Self::WrongCodes { activity: activity.clone(), link: link() },
                Self::AlertsDisabled { activity: activity.clone(), link: link() },
                Self::SessionLimit {
                    revoked_device: DeviceName::chosen("Phone"),
                    revoked_active_at: at,
                    activity: activity.clone(),
                    link: link(),
                },
            ]);
            samples.extend([Some(link()), None].map(|link| Self::AccountDeletion {
                deletes_at: at,
                activity: activity.clone(),
                link,
            }));
            samples.push(Self::DeletionCancelled { activity: activity.clone() });
            samples.extend(MfaChange::ALL.map(|what| Self::MfaChanged {
                what,
                activity: activity.clone(),
                link: link(),
            }));
        }
        let unverified: Vec<Self> = samples.iter().map(Self::without_chosen_texts).collect();
        samples.extend(unverified);
        samples
    }
}

fn firefox() -> Device {
    Device {
        device_type: DeviceType::Desktop,
        os: Some("Windows".to_owned()),
        browser: Some("Firefox".to_owned()),
        label: "Firefox on Windows".to_owned(),
    }
}
