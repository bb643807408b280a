//! Whom to tell when the box's state changes: `[notify.webhook]`, `[notify.ntfy]`, `[notify.email]`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Mistake;

/// What must not be shown: neither in a log nor by `config show`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What is shown in a secret's place.
pub const HIDDEN: &str = "[secret]";

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// A PEM file of authorities to trust beside the public ones, for a server of one's own.
    pub ca_file: Option<PathBuf>,
    pub webhook: Option<Webhook>,
    pub ntfy: Option<Ntfy>,
    pub email: Option<Email>,
}

impl Notify {
    pub fn is_empty(&self) -> bool {
        self.webhook.is_none() && self.ntfy.is_none() && self.email.is_none()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Gets a JSON object by POST. Its path is often the secret.
    pub url: Secret,
    pub token: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntfy {
    /// With the topic, which is the secret.
    pub url: Secret,
    pub token: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    pub server: String,
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: Tls,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// From the first byte, on port 465 (RFC 8314).
    #[default]
    Implicit,
    /// By STARTTLS, on port 587.
    Starttls,
    /// Not at all, on port 25: for a server in the house.
    None,
}

impl Email {
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Tls::Implicit => 465,
            Tls::Starttls => 587,
            Tls::None => 25,
        })
    }
}

/// An `http://` or `https://` address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub secure: bool,
    pub host: String,
    pub port: u16,
    pub path: String,
}

impl Url {
    pub fn parse(text: &str) -> Option<Url> {
        let (secure, rest) = match text.split_once("://")? {
            ("http", rest) => (false, rest),
            ("https", rest) => (true, rest),
            _ => return None,
        };
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let usable = !host.is_empty()
            && !host.contains('@')
            && authority.bytes().all(|byte| byte.is_ascii_graphic())
            && path.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| Url {
            secure,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    /// The host as resolvers and certificates have it.
    pub fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

pub(super) fn check(file: &Path, notify: &Notify) -> Result<(), Mistake> {
    let urls = [
        (
            "notify.webhook.url",
            notify.webhook.as_ref().map(|webhook| &webhook.url),
        ),
        ("notify.ntfy.url", notify.ntfy.as_ref().map(|ntfy| &ntfy.url)),
    ];
    for (key, url) in urls {
        if url.is_some_and(|url| Url::parse(url.reveal()).is_none()) {
            let mend = "write it as https://HOST/PATH";
            return Err(Mistake::in_key(file, key, "is not an address", mend));
        }
    }
    if let Some(path) = &notify.ca_file
        && let Err(error) = std::fs::metadata(path)
    {
        let what = format!("{} cannot be read: {error}", path.display());
        return Err(Mistake::in_key(file, "notify.ca_file", what, "name a PEM file"));
    }
    let Some(email) = &notify.email else { return Ok(()) };
    let addresses = [("notify.email.from", &email.from)]
        .into_iter()
        .chain(email.to.iter().map(|to| ("notify.email.to", to)));
    for (key, address) in addresses {
        if address.parse::<lettre::message::Mailbox>().is_err() {
            let what = format!("{address:?} is not an email address");
            return Err(Mistake::in_key(file, key, what, "write it as NAME@DOMAIN"));
        }
    }
    if email.to.is_empty() {
        return Err(Mistake::in_key(file, "notify.email.to", "is empty", "list an address"));
    }
    if email.user.is_some() != email.password.is_some() {
        let mend = "write both, or neither";
        return Err(Mistake::in_key(
            file,
            "notify.email.user",
            "stands without the other",
            mend,
        ));
    }
    if email.tls == Tls::None && email.password.is_some() {
        let mend = "write \"implicit\" or \"starttls\", or take user and password away";
        return Err(Mistake::in_key(
            file,
            "notify.email.tls",
            "would send the password in the clear",
            mend,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let url = |secure, host: &str, port, path: &str| {
            Some(Url {
                secure,
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            })
        };
        for (text, wanted) in [
            ("https://ntfy.sh/topic", url(true, "ntfy.sh", 443, "/topic")),
            ("http://10.0.0.2:8080", url(false, "10.0.0.2", 8080, "/")),
            ("https://[fd00::1]/x?y=z", url(true, "[fd00::1]", 443, "/x?y=z")),
            ("https://[fd00::1]:9/x", url(true, "[fd00::1]", 9, "/x")),
            ("ftp://example.org/", None),
            ("example.org", None),
            ("https://", None),
            ("https://user@example.org/", None),
            ("https://example.org:port/", None),
            ("https://example.org/a b", None),
            ("https://example.org/\r\nx: y", None),
        ] {
            assert_eq!(Url::parse(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_shown_nowhere() {
        let webhook: Webhook = toml::from_str("url = \"https://x/hidden\"\ntoken = \"hidden\"").unwrap();
        assert!(!format!("{webhook:?}").contains("hidden"));
        assert!(!serde_json::to_string(&webhook).unwrap().contains("hidden"));
        assert_eq!(webhook.url.reveal(), "https://x/hidden");
    }
}
