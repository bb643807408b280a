//! One e-mail, over a connection of its own (RFC 5321, TLS by RFC 8314 or STARTTLS).

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as Secured, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::error::Error;
use super::message::Message;
use super::trust::Trust;
use crate::config::notify::{Email, Tls};

const COMMAND: Duration = Duration::from_secs(15);

pub(super) async fn send(email: &Email, message: &Message, trust: &Trust) -> Result<(), Error> {
    let mail = mail(email, message)?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&email.server)
        .port(email.port())
        .timeout(Some(COMMAND))
        .tls(match email.tls {
            Tls::Implicit => Secured::Wrapper(parameters(email, trust)?),
            Tls::Starttls => Secured::Required(parameters(email, trust)?),
            Tls::None => Secured::None,
        });
    if let (Some(user), Some(password)) = (&email.user, &email.password) {
        transport = transport.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
    }
    let sent = transport.build().send(mail).await;
    sent.map(drop).map_err(|source| Error::Smtp {
        at: format!("{}:{}", email.server, email.port()),
        source,
    })
}

fn parameters(email: &Email, trust: &Trust) -> Result<TlsParameters, Error> {
    let mut parameters = TlsParameters::builder(email.server.clone());
    if let Some(own) = trust.own()? {
        parameters = parameters.add_root_certificate(Certificate::from_pem(&own).map_err(Error::MailTls)?);
    }
    parameters.build_rustls().map_err(Error::MailTls)
}

fn mail(email: &Email, message: &Message) -> Result<lettre::Message, Error> {
    let mailbox = |address: &str| {
        address.parse::<Mailbox>().map_err(|source| Error::MailAddress {
            address: address.to_owned(),
            source,
        })
    };
    let seconds = u64::try_from(message.at).unwrap_or(0);
    let mut mail = lettre::Message::builder()
        .from(mailbox(&email.from)?)
        .subject(message.title.as_str())
        // The same at every attempt, so that mail servers can tell a repetition.
        .message_id(Some(format!("<{}@{}>", message.id, message.host)))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .header(ContentType::TEXT_PLAIN);
    for to in &email.to {
        mail = mail.to(mailbox(to)?);
    }
    mail.body(message.text()).map_err(Error::Mail)
}
