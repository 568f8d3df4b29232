//! Gives mails to a server over SMTP (RFC 5321), step by step, so that it is known whom a refusal is about: the person,
//! the mail or the server as a whole.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::address::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::time::{Instant, timeout};

use super::failure::{Failure, Step};
use super::settings::{EmailSettings, MailServer, MailTls};

/// Idle connections kept for the next mails.
const IDLE_MAX: usize = 8;
/// How long one is kept; servers close them after a while by themselves.
const IDLE_TIME_MAX: Duration = Duration::from_secs(20);
/// Mails over one connection: servers count them.
const MAILS_PER_CONNECTION_MAX: u32 = 100;

/// Brings mails to one server.
pub(super) struct Postman {
    server: MailServer,
    way: Way,
    may_be_plain: bool,
    patience: Duration,
    idle: Mutex<Vec<Link>>,
}

/// How a connection gets its protection.
enum Way {
    Implicit(TlsParameters),
    Required(TlsParameters),
    Opportunistic(TlsParameters),
    Plain,
}

struct Link {
    connection: AsyncSmtpConnection,
    idle_since: Instant,
    mails: u32,
}

/// A mail, ready to go.
pub(super) struct Envelope<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a Address,
    pub(super) copy_to: Option<&'a Address>,
    /// Headers and body.
    pub(super) mail: &'a [u8],
}

impl Postman {
    pub(super) fn new(settings: &EmailSettings) -> Result<Postman, Error> {
        let server = settings.server.clone();
        let tls = || {
            let builder = TlsParameters::builder(server.host.clone());
            match &settings.certificate {
                None => builder.build(),
                Some(own) => {
                    builder.certificate_store(CertificateStore::None).add_root_certificate(own.0.clone()).build()
                }
            }
        };
        let way = match settings.tls {
            MailTls::Implicit => Way::Implicit(tls()?),
            MailTls::Required => Way::Required(tls()?),
            MailTls::Opportunistic => Way::Opportunistic(tls()?),
            MailTls::None => Way::Plain,
        };
        let may_be_plain = settings.insecure || server.is_this_machine();
        Ok(Postman { server, way, may_be_plain, patience: settings.patience, idle: Mutex::default() })
    }

    /// Returns once the server has taken the mail: it is its business then.
    pub(super) async fn bring(&self, envelope: &Envelope<'_>) -> Result<(), Failure> {
        if let Some(mut link) = self.take_idle() {
            // Whether the server still listens is known only by asking. Nothing of the mail is told yet.
            if matches!(timeout(self.patience, link.connection.test_connected()).await, Ok(true)) {
                return self.bring_over(link, envelope).await;
            }
        }
        self.bring_over(self.open().await?, envelope).await
    }

    async fn bring_over(&self, mut link: Link, envelope: &Envelope<'_>) -> Result<(), Failure> {
        // A link is kept only after a success: after a refusal the state of the server is anybody's guess.
        link.give(envelope, self.patience).await?;
        link.mails += 1;
        link.idle_since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && link.mails < MAILS_PER_CONNECTION_MAX {
            idle.push(link);
        }
        Ok(())
    }

    fn take_idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| link.idle_since.elapsed() < IDLE_TIME_MAX);
        idle.pop()
    }

    async fn open(&self) -> Result<Link, Failure> {
        let hello = ClientId::default();
        let place = (self.server.host.as_str(), self.server.port);
        let first = match &self.way {
            Way::Implicit(tls) => Some(tls.clone()),
            Way::Required(_) | Way::Opportunistic(_) | Way::Plain => None,
        };
        let opening = AsyncSmtpConnection::connect_tokio1(place, Some(self.patience), &hello, first, None);
        let mut connection = step(self.patience, Step::Connect, opening).await?;
        match &self.way {
            Way::Required(_) if !connection.can_starttls() => return Err(Failure::NoTls),
            Way::Required(tls) | Way::Opportunistic(tls) if connection.can_starttls() => {
                step(self.patience, Step::Protect, connection.starttls(tls.clone(), &hello)).await?;
            }
            Way::Implicit(_) | Way::Required(_) | Way::Opportunistic(_) | Way::Plain => {}
        }
        if !connection.is_encrypted() && !self.may_be_plain {
            return Err(Failure::NoTls);
        }
        if let Some((name, password)) = &self.server.sign_in {
            let credentials = Credentials::new(name.clone(), password.to_string());
            step(self.patience, Step::SignIn, connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials))
                .await?;
        }
        Ok(Link { connection, idle_since: Instant::now(), mails: 0 })
    }
}

impl Link {
    async fn give(&mut self, envelope: &Envelope<'_>, patience: Duration) -> Result<(), Failure> {
        let connection = &mut self.connection;
        let addresses = [Some(envelope.from), Some(envelope.to), envelope.copy_to];
        let mut parameters = Vec::new();
        if !addresses.into_iter().flatten().all(|address| <Address as AsRef<str>>::as_ref(address).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::NoUnicode);
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        step(patience, Step::Sender, connection.command(Mail::new(Some(envelope.from.clone()), parameters))).await?;
        step(patience, Step::Recipient, connection.command(Rcpt::new(envelope.to.clone(), Vec::new()))).await?;
        if let Some(copy_to) = envelope.copy_to {
            // The person's mail does not fail because the copy's reader is refused.
            match step(patience, Step::Recipient, connection.command(Rcpt::new(copy_to.clone(), Vec::new()))).await {
                Err(Failure::Refused { code, .. }) if code != 421 => {
                    tracing::warn!(code, "the mail server refuses the address of the bcc setting");
                }
                other => drop(other?),
            }
        }
        step(patience, Step::Content, connection.command(Data)).await?;
        step(patience, Step::Content, connection.message(envelope.mail)).await?;
        Ok(())
    }
}

async fn step<T>(patience: Duration, step: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(patience, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure::of(step, &error)),
        Err(_) => Err(Failure::Silent { step }),
    }
}
