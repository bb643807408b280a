//! Whom the box tells when something is wrong: what the daemon's `[notify]` takes, without what only a computer's owner
//! has a use for.

use serde::Deserialize;
use toml::Spanned;

use super::{Mistake, Secret};

const MAX_URL_BYTES: usize = 1024;
const MAX_RECIPIENTS: usize = 4;
/// RFC 4616, section 2: a server must take as many of each.
const MAX_LOGIN_BYTES: usize = 255;

/// Who is told when something is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// By a POST with JSON.
    pub webhook: Option<Post>,
    /// By ntfy's protocol.
    pub ntfy: Option<Post>,
    /// By e-mail.
    pub email: Option<Email>,
}

/// A service of the web that takes messages. Whoever knows its address may write there, so that is a secret, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Where to; a secret, because whoever knows it can write there.
    pub url: Secret,
    /// Sent with it, as a bearer's.
    pub token: Option<Secret>,
}

/// A mail server, and who writes to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The server's name.
    pub server: String,
    /// The usual one for `tls` when absent.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// The account, if the server wants one.
    pub user: Option<String>,
    /// The account's.
    pub password: Option<Secret>,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    #[default]
    /// From its first byte.
    Implicit,
    /// After a first line in the clear.
    Starttls,
    /// Not at all.
    None,
}

impl Tls {
    pub(super) fn word(self) -> &'static str {
        match self {
            Tls::Implicit => "implicit",
            Tls::Starttls => "starttls",
            Tls::None => "none",
        }
    }
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Section {
    webhook: Option<PostPart>,
    ntfy: Option<PostPart>,
    email: Option<EmailPart>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostPart {
    url: Spanned<String>,
    token: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailPart {
    server: String,
    port: Option<std::num::NonZeroU16>,
    #[serde(default)]
    tls: Tls,
    user: Option<String>,
    password: Option<Spanned<String>>,
    from: String,
    to: Vec<String>,
}

impl Section {
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Spanned<String>> {
        let posts = self.webhook.iter().chain(&self.ntfy);
        let of_posts = posts.flat_map(|post| [Some(&post.url), post.token.as_ref()]);
        let of_email = self.email.iter().map(|email| email.password.as_ref());
        of_posts.chain(of_email).flatten()
    }
}

impl Notify {
    pub(super) fn read(section: Section) -> Result<Notify, Mistake> {
        let post = |key: &str, part: Option<PostPart>| part.map(|part| Post::read(key, part)).transpose();
        Ok(Notify {
            webhook: post("notify.webhook", section.webhook)?,
            ntfy: post("notify.ntfy", section.ntfy)?,
            email: section.email.map(Email::read).transpose()?,
        })
    }

    pub(super) fn recall(&mut self, kept: &Notify) -> Result<(), Mistake> {
        for (key, post, kept) in [
            ("notify.webhook", &mut self.webhook, &kept.webhook),
            ("notify.ntfy", &mut self.ntfy, &kept.ntfy),
        ] {
            if let Some(post) = post {
                post.recall(key, kept.as_ref())?;
            }
        }
        if let Some(email) = &mut self.email {
            // A password is for one mailbox alone.
            let kept = kept
                .email
                .as_ref()
                .filter(|kept| kept.server == email.server && kept.user == email.user);
            let kept = kept.and_then(|kept| kept.password.as_ref());
            if email.password.as_mut().is_some_and(|password| !password.recall(kept)) {
                return Err(nothing_kept("notify.email.password"));
            }
        }
        Ok(())
    }

    pub(super) fn over(self, far: Notify) -> Notify {
        Notify {
            webhook: self.webhook.or(far.webhook),
            ntfy: self.ntfy.or(far.ntfy),
            email: self.email.or(far.email),
        }
    }
}

fn nothing_kept(key: &str) -> Mistake {
    Mistake::in_key(
        super::FILE,
        key,
        "is empty, and none was taken before",
        "write it again",
    )
}

impl Post {
    fn read(key: &str, part: PostPart) -> Result<Post, Mistake> {
        let url = part.url.into_inner();
        if !url.is_empty() && !is_url(&url) {
            let mend = "write it as https://HOST/PATH";
            return Err(Mistake::in_key(
                super::FILE,
                &format!("{key}.url"),
                "is not an address",
                mend,
            ));
        }
        let token = part.token.map(Spanned::into_inner);
        if token.as_deref().is_some_and(|token| !is_word(token)) {
            let mend = "copy it again; it has no spaces";
            return Err(Mistake::in_key(
                super::FILE,
                &format!("{key}.token"),
                "is not a token",
                mend,
            ));
        }
        Ok(Post {
            url: Secret::new(url),
            token: token.map(Secret::new),
        })
    }

    /// A token is for one address alone: with another address it must be written again.
    fn recall(&mut self, key: &str, kept: Option<&Post>) -> Result<(), Mistake> {
        if !self.url.recall(kept.map(|kept| &kept.url)) {
            return Err(nothing_kept(&format!("{key}.url")));
        }
        let kept = kept.filter(|kept| kept.url == self.url);
        let kept = kept.and_then(|kept| kept.token.as_ref());
        if self.token.as_mut().is_some_and(|token| !token.recall(kept)) {
            return Err(nothing_kept(&format!("{key}.token")));
        }
        Ok(())
    }
}

impl Email {
    fn read(part: EmailPart) -> Result<Email, Mistake> {
        let wrong = |key: &str, what: &str, mend: &str| {
            Err(Mistake::in_key(
                super::FILE,
                &format!("notify.email.{key}"),
                what.to_owned(),
                mend,
            ))
        };
        if !is_host(&part.server) {
            return wrong("server", "is not a server name", "write it as mail.example.org");
        }
        for (key, address) in [("from", &part.from)]
            .into_iter()
            .chain(part.to.iter().map(|to| ("to", to)))
        {
            if !is_mailbox(address) {
                return wrong(key, "is not an email address", "write it as NAME@DOMAIN");
            }
        }
        if part.to.is_empty() || part.to.len() > MAX_RECIPIENTS {
            return wrong("to", "has none or too many", "list 1 to 4 addresses");
        }
        let password = part.password.map(Spanned::into_inner);
        if part.user.is_some() != password.is_some() {
            return wrong(
                "user",
                "stands without the other",
                "write user and password, or neither",
            );
        }
        let is_login = |text: &String| text.len() <= MAX_LOGIN_BYTES && !text.contains(char::is_control);
        let unclear = |text: &Option<String>| text.as_ref().is_some_and(|text| !is_login(text));
        if unclear(&part.user) || unclear(&password) {
            return wrong("user", "has characters that no user or password has", "write it again");
        }
        if part.tls == Tls::None && password.is_some() {
            let mend = "write \"implicit\" or \"starttls\", or take user and password away";
            return wrong("tls", "would send the password in the clear", mend);
        }
        Ok(Email {
            server: part.server,
            port: part.port.map(std::num::NonZeroU16::get),
            tls: part.tls,
            user: part.user,
            password: password.map(Secret::new),
            from: part.from,
            to: part.to,
        })
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= MAX_URL_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Narrower than what the daemon takes, so that nothing accepted here stops it.
fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    is_word(text) && is_host(host) && port.parse::<std::num::NonZeroU16>().is_ok()
}

/// Letters, digits, hyphens and dots (RFC 1123, section 2.1); an IPv4 address looks the same.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// The usual form of RFC 5321, section 4.1.2, without quotes.
fn is_mailbox(text: &str) -> bool {
    let Some((user, domain)) = text.split_once('@') else {
        return false;
    };
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    user.len() <= 64 && user.split('.').all(part) && domain.contains('.') && is_host(domain)
}
