//! What an e-mail handler is told: the server, how it is spoken to, and who writes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::Mailbox;
use url::Url;
use zeroize::Zeroizing;

use super::texts::Languages;
use crate::Template;

/// Everything an e-mail handler is told.
#[derive(Clone, Debug)]
pub struct EmailSettings {
    /// The server that takes the mails.
    pub server: MailServer,
    /// How its connection is protected.
    pub tls: MailTls,
    /// Whether name, password and mails may go unprotected to a server on another machine.
    pub insecure: bool,
    /// How long the server may take for one step; servers that check a mail while it is given are slow at times.
    pub patience: Duration,
    /// A certificate in PEM to trust instead of the system's: of a server within a house.
    pub certificate: Option<MailCertificate>,
    /// Who writes. Replies and returned mail come here, too.
    pub from: MailAddress,
    /// Where replies go instead.
    pub reply_to: Option<MailAddress>,
    /// Who gets a copy of everything, unseen.
    pub bcc: Option<MailAddress>,
    /// Whom to write to; the event's person where it is left out.
    pub to: Option<Template>,
    /// Gives the language's tag, such as `hi`.
    pub language: Option<Template>,
    /// The texts in each language.
    pub texts: Languages,
    /// Whether announcements carry invitations for calendars.
    pub invite: bool,
    /// The calendar handler whose address templates get as `calendarUrl`.
    pub calendar: Option<String>,
}

/// A server for mail, with the name and the password it asks for.
#[derive(Clone)]
pub struct MailServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_implicit: bool,
    pub(super) sign_in: Option<(String, Zeroizing<String>)>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// By TLS from its first byte (`smtps://`).
    Implicit,
    /// By STARTTLS, or there is no mail.
    Required,
    /// By STARTTLS where the server offers it.
    Opportunistic,
    /// Not at all.
    None,
}

/// An address with a name or without, of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(pub(super) Mailbox);

/// A certificate, read.
#[derive(Clone)]
pub struct MailCertificate(pub(super) lettre::transport::smtp::client::Certificate);

/// Why a setting cannot be meant, with the mend; never the text itself, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MailSettingError(&'static str);

impl MailServer {
    /// Whether it is this machine: what is sent there is on no network.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// How it is spoken to where the settings do not say.
    #[must_use]
    pub fn usual_tls(&self) -> MailTls {
        match (self.is_implicit, self.is_this_machine()) {
            (true, _) => MailTls::Implicit,
            // A mail server on the same machine often shows a certificate that nobody vouches for.
            (false, true) => MailTls::None,
            (false, false) => MailTls::Required,
        }
    }
}

impl FromStr for MailServer {
    type Err = MailSettingError;

    fn from_str(text: &str) -> Result<MailServer, MailSettingError> {
        let wrong = MailSettingError(
            "is no address of a mail server; write it such as \"smtp://name:password@mail.example:587\" (STARTTLS) or \
             \"smtps://name:password@mail.example\" (TLS), with %40 for an @ within name or password",
        );
        let url = Url::parse(text).map_err(|_| wrong)?;
        let (is_implicit, usual_port) = match url.scheme() {
            "smtp" => (false, 587),
            "smtps" => (true, 465),
            _ => return Err(wrong),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let name = decoded(url.username()).ok_or(wrong)?;
        let password = url.password().map(|password| decoded(password).ok_or(wrong)).transpose()?;
        let sign_in = match (name.is_empty(), password) {
            (true, None) => None,
            (false, Some(password)) => Some((name, password.into())),
            _ => return Err(MailSettingError("give both a name and a password for the mail server, or neither")),
        };
        Ok(MailServer { host, port: url.port().unwrap_or(usual_port), is_implicit, sign_in })
    }
}

/// Undoes percent-encoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        rest = others;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (pair, others) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
        rest = others;
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailServer({}:{})", self.host, self.port)
    }
}

impl FromStr for MailTls {
    type Err = MailSettingError;

    fn from_str(text: &str) -> Result<MailTls, MailSettingError> {
        match text {
            "required" => Ok(MailTls::Required),
            "opportunistic" => Ok(MailTls::Opportunistic),
            "none" => Ok(MailTls::None),
            _ => Err(MailSettingError("write \"required\", \"opportunistic\" or \"none\"")),
        }
    }
}

impl FromStr for MailAddress {
    type Err = MailSettingError;

    fn from_str(text: &str) -> Result<MailAddress, MailSettingError> {
        let wrong =
            MailSettingError("is no e-mail address; write \"me@school.example\" or \"My School <me@school.example>\"");
        if text.chars().any(char::is_control) {
            return Err(wrong);
        }
        text.parse().map(MailAddress).map_err(|_| wrong)
    }
}

impl FromStr for MailCertificate {
    type Err = MailSettingError;

    fn from_str(text: &str) -> Result<MailCertificate, MailSettingError> {
        let wrong = MailSettingError("is no certificate in PEM; name the file it is in: \"file:/etc/ssl/mail.pem\"");
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(wrong);
        }
        let certificate = lettre::transport::smtp::client::Certificate::from_pem(text.as_bytes());
        certificate.map(MailCertificate).map_err(|_| wrong)
    }
}

impl fmt::Debug for MailCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailCertificate(_)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_read_with_its_name_and_password_and_its_usual_port() {
        let server: MailServer = "smtp://me%40school.example:p%3Ass@mail.example".parse().unwrap();
        assert_eq!((server.host.as_str(), server.port, server.usual_tls()), ("mail.example", 587, MailTls::Required));
        let (name, password) = server.sign_in.clone().unwrap();
        assert_eq!((name.as_str(), password.as_str()), ("me@school.example", "p:ss"));
        assert_eq!(format!("{server:?}"), "MailServer(mail.example:587)");
        let server: MailServer = "smtps://mail.example".parse().unwrap();
        assert_eq!((server.port, server.usual_tls()), (465, MailTls::Implicit));
    }

    #[test]
    fn only_this_machine_may_be_spoken_to_without_tls_by_itself() {
        for (text, is_this_machine) in [
            ("smtp://localhost:25", true),
            ("smtp://127.0.0.1:25", true),
            ("smtp://[::1]:25", true),
            ("smtp://127.0.0.1.example:25", false),
            ("smtp://10.0.0.1:25", false),
        ] {
            assert_eq!(text.parse::<MailServer>().unwrap().is_this_machine(), is_this_machine, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_without_its_password() {
        let wrong =
            ["mail.example:587", "https://a:secret@b", "smtp://", "smtp://a:secret@b/x", "smtp://a%zz:secret@b"];
        for text in wrong {
            let error = text.parse::<MailServer>().unwrap_err().to_string();
            assert!(error.contains("smtp://name:password@") && !error.contains("secret"), "{text}: {error}");
        }
        assert!("smtp://name@mail.example".parse::<MailServer>().is_err());
    }

    #[test]
    fn an_address_with_a_second_line_is_refused() {
        assert!("A <a@b.example>".parse::<MailAddress>().is_ok());
        for text in ["a", "A <a@b.example>\r\nBcc: c@d.example", "a@b.example, c@d.example"] {
            assert!(text.parse::<MailAddress>().is_err(), "{text}");
        }
    }
}
