//! The wireless network that the box joins.

use serde::Deserialize;
use toml::Spanned;

use super::{Mistake, Secret};

/// IEEE 802.11-2020, section 9.4.2.2.
const MAX_NAME_BYTES: usize = 32;
/// IEEE 802.11-2020, annex J.4.1: a passphrase.
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 8..=63;
/// The same: the key itself, as hexadecimal digits.
const KEY_DIGITS: usize = 64;

/// A wireless network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wifi {
    /// Its name (SSID).
    pub name: String,
    /// A passphrase or the key itself; none for an open network.
    pub password: Option<Secret>,
    /// ISO 3166-1: which channels, and how loud.
    pub country: Option<String>,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) password: Option<Spanned<String>>,
    pub(crate) country: Option<String>,
}

impl Section {
    pub(crate) fn settings(self) -> Result<Wifi, Mistake> {
        Wifi::new(
            &self.name,
            self.password.map(Spanned::into_inner).as_deref(),
            self.country.as_deref(),
        )
    }
}

impl Wifi {
    /// An empty password stands for one that was taken off the card.
    pub(crate) fn new(name: &str, password: Option<&str>, country: Option<&str>) -> Result<Wifi, Mistake> {
        let wrong =
            |key: &str, what: &str, mend: &str| Mistake::in_key(super::FILE, &format!("wifi.{key}"), what, mend);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
            let mend = "write it as your telephone shows it; it has 1 to 32 bytes";
            return Err(wrong("name", "is not a network name", mend));
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            let is_key = password.len() == KEY_DIGITS && password.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_passphrase = PASSPHRASE_BYTES.contains(&password.len()) && !password.contains(char::is_control);
            if !is_key && !is_passphrase {
                // Not the value: the page shows this sentence.
                let mend = "it has 8 to 63 characters; take the key away for a network without one";
                return Err(wrong("password", "is no Wi-Fi password", mend));
            }
        }
        let country = country.map(str::to_ascii_uppercase);
        if let Some(country) = &country
            && (country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            let mend = "write the two letters of your country, such as \"AT\"";
            return Err(wrong("country", "is not a country", mend));
        }
        Ok(Wifi {
            name: name.to_owned(),
            password: password.map(Secret::new),
            country,
        })
    }

    pub(super) fn recall(&mut self, kept: Option<&Wifi>) -> Result<(), Mistake> {
        let kept = kept.filter(|kept| kept.name == self.name);
        let kept = kept.and_then(|kept| kept.password.as_ref());
        if self.password.as_mut().is_some_and(|password| !password.recall(kept)) {
            let what = format!("is empty, and none was taken for {:?}", self.name);
            return Err(Mistake::in_key(
                super::FILE,
                "wifi.password",
                what,
                "write the password",
            ));
        }
        Ok(())
    }
}
