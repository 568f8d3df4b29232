//! Writes to people: announcements with an invitation that keeps their calendars right, reminders, recordings, or whatever
//! the operator's own texts say.
//!
//! At least once: the agenda is kept after the server has taken the mail, so a crash between the two sends the same mail
//! again, with the same Message-ID and the same SEQUENCE, which calendars and most mailboxes take as the same.

mod failure;
mod letter;
mod message;
mod settings;
mod smtp;
mod texts;

use async_trait::async_trait;
use lettre::Address;
use lettre::message::Mailbox;
use receiver::agenda::{self, Entries};
use receiver::reading::Person;
use receiver::{Reading, RunFailure, RunFailureKind};
use serde_json::Value;
use store::{Agenda, CalendarOf};

pub use settings::{EmailSettings, MailAddress, MailCertificate, MailServer, MailSettingError, MailTls};
pub use texts::{CalendarWords, Languages, Texts};

use crate::agendas::{belonging_to, calendar_url, of_store, stored, version_of};
use crate::ics::{Invitation, Method, Party};
use crate::{Handler, Job, TemplateError, Tools};
use letter::Letter;
use message::Parts;
use smtp::{Envelope, Postman};
use texts::{Written, one_line};

/// Writes to people.
pub struct EmailHandler {
    settings: EmailSettings,
    postman: Postman,
    tools: Tools,
}

/// What is to be done for one job.
enum Plan {
    /// No mail; why, in words.
    Nothing(&'static str),
    /// No mail, but the calendar is another than before.
    Keep(Agenda, &'static str),
    /// A mail, and the calendar after it.
    Mail(Box<Mail>),
}

/// A mail that is to be sent.
struct Mail {
    to: Mailbox,
    letter: Letter,
    /// With the thread that its series makes.
    agenda: Option<(Agenda, String)>,
}

impl EmailHandler {
    /// A handler with these settings. Fails where the certificates of this machine cannot be read.
    pub fn new(settings: EmailSettings, tools: Tools) -> Result<EmailHandler, String> {
        let postman = Postman::new(&settings)
            .map_err(|error| format!("the certificates for the mail server cannot be used: {error}"))?;
        Ok(EmailHandler { settings, postman, tools })
    }

    async fn plan(&self, job: &Job) -> Result<Plan, RunFailure> {
        let reading = &job.message.reading;
        if matches!(reading, Reading::Webinar(event) if event.is_test) {
            return Ok(Plan::Nothing("a trial of the sender, about nobody; no mail"));
        }
        let Some(to) = self.recipient(job)? else { return Ok(Plan::Nothing("no e-mail address; no mail")) };
        let event = match reading {
            Reading::Webinar(event) if agenda::is_told_by(event) => event,
            Reading::Other(_) if !self.settings.texts.have_own_words() => {
                return Ok(Plan::Nothing("not about a webinar, and the handler has no text of its own; no mail"));
            }
            Reading::Webinar(event) if letter::comes_too_late(event, job.now) => {
                return Ok(Plan::Nothing("the session it reminds of is over; no mail"));
            }
            Reading::Webinar(_) | Reading::Other(_) => {
                let letter = Letter::of_reading(reading);
                return Ok(Plan::Mail(Box::new(Mail { to, letter, agenda: None })));
            }
        };
        let person = to.email.to_string().to_lowercase();
        let Some((key, previous)) = belonging_to(event, job, &self.tools, &person).await? else {
            return Ok(Plan::Nothing("no sessions, and none were announced; no mail"));
        };
        let advance = Entries::advance(previous.as_ref(), event, version_of(job), job.message.received_at);
        if advance.is_outdated {
            return Ok(Plan::Nothing("older than what the person knows; no mail"));
        }
        let agenda = stored(&person, &key, &advance.entries);
        match Letter::of_changes(&advance, previous.is_none(), job.generation > 0, job.now) {
            Some(letter) => {
                let thread = format!("{}\n{}\n{person}\n{key}", job.account, job.handler);
                Ok(Plan::Mail(Box::new(Mail { to, letter, agenda: Some((agenda, thread)) })))
            }
            None if advance.changes.is_empty() => Ok(Plan::Keep(agenda, "nothing new; no mail")),
            None => Ok(Plan::Keep(agenda, "all that is new is over; no mail")),
        }
    }

    fn recipient(&self, job: &Job) -> Result<Option<Mailbox>, RunFailure> {
        let person = person_of(job);
        let address = match &self.settings.to {
            Some(template) => template.fill(&job.to_json()).map_err(|error| of_template("to", &error))?,
            None => person.and_then(|person| person.email.clone()).unwrap_or_default(),
        };
        if address.trim().is_empty() {
            return Ok(None);
        }
        let address: Address = address.trim().parse().map_err(|_| RunFailure {
            kind: RunFailureKind::Hopeless,
            reason: "the event's e-mail address is none that mail can be sent to".to_owned(),
        })?;
        let name = person.map(|person| one_line(&person.name)).filter(|name| !name.is_empty());
        Ok(Some(Mailbox::new(name, address)))
    }

    fn write(&self, job: &Job, mail: &Mail, calendar_url: Option<String>) -> Result<Written, RunFailure> {
        let mut values = job.to_json();
        let tag = match &self.settings.language {
            Some(template) => template.fill(&values).map_err(|error| of_template("language", &error))?,
            None => String::new(),
        };
        values["mail"] = mail.letter.to_json(&job.message.reading);
        values["calendarUrl"] = calendar_url.map_or(Value::Null, Value::String);
        values["language"] = tag.trim().into();
        self.settings.texts.texts(&tag).write(values).map_err(|error| of_template("a text", &error))
    }

    fn calendars(&self, job: &Job, mail: &Mail) -> Vec<(Method, String)> {
        if !self.settings.invite {
            return Vec::new();
        }
        let from = &self.settings.from.0;
        let party = |mailbox: &Mailbox| (mailbox.name.clone().unwrap_or_default(), mailbox.email.to_string());
        let (from, to) = (party(from), party(&mail.to));
        let invitation = Invitation {
            from: Party { name: &from.0, address: &from.1 },
            to: Party { name: &to.0, address: &to.1 },
            at: job.message.received_at,
        };
        [(Method::Request, &mail.letter.requested), (Method::Cancel, &mail.letter.cancelled)]
            .into_iter()
            .filter(|(_, entries)| !entries.is_empty())
            .map(|(method, entries)| (method, invitation.write(method, &entries.iter().collect::<Vec<_>>())))
            .collect()
    }

    async fn send(&self, job: &Job, mail: &Mail) -> Result<(), RunFailure> {
        let calendar_url = match (&self.settings.calendar, person_of(job).and_then(|person| person.email.clone())) {
            (Some(handler), Some(person)) => {
                let url = calendar_url(&self.tools, job.account, handler, CalendarOf::Person(person)).await;
                url.map_err(|error| of_store(&error))?
            }
            _ => None,
        };
        let written = self.write(job, mail, calendar_url)?;
        let key = job.idempotency_key();
        let parts = Parts {
            settings: &self.settings,
            to: mail.to.clone(),
            written: &written,
            calendars: self.calendars(job, mail),
            key: &key,
            thread: mail.agenda.as_ref().map(|(_, thread)| thread.as_str()),
            now: job.now,
        };
        let bytes = parts.write().map_err(|_| RunFailure {
            kind: RunFailureKind::Hopeless,
            reason: "a mail cannot be made of this event; `fanfare inbox try` shows it".to_owned(),
        })?;
        let envelope = Envelope {
            from: &self.settings.from.0.email,
            to: &mail.to.email,
            copy_to: self.settings.bcc.as_ref().map(|bcc| &bcc.0.email),
            mail: &bytes,
        };
        self.postman.bring(&envelope).await.map_err(|failure| failure.judge())
    }

    async fn keep(&self, job: &Job, agenda: Agenda) -> Result<(), RunFailure> {
        let kept = self.tools.agendas.keep_agendas(job.account, &job.handler, vec![agenda]).await;
        kept.map_err(|error| of_store(&error))
    }
}

#[async_trait]
impl Handler for EmailHandler {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        match self.plan(job).await? {
            Plan::Nothing(why) => Ok(why.to_owned()),
            Plan::Keep(agenda, why) => {
                self.keep(job, agenda).await?;
                Ok(why.to_owned())
            }
            Plan::Mail(mail) => {
                self.send(job, &mail).await?;
                let kind = mail.letter.kind().as_str();
                if let Some((agenda, _)) = mail.agenda {
                    self.keep(job, agenda).await?;
                }
                Ok(format!("mail sent: {kind}"))
            }
        }
    }

    async fn foresee(&self, job: &Job) -> Result<String, RunFailure> {
        let mail = match self.plan(job).await? {
            Plan::Nothing(why) | Plan::Keep(_, why) => return Ok(why.to_owned()),
            Plan::Mail(mail) => mail,
        };
        let calendar_url = self.settings.calendar.as_ref().map(|_| "(the calendar's address)".to_owned());
        let written = self.write(job, &mail, calendar_url)?;
        let mut shown = format!(
            "would send a mail ({})\nFrom: {}\nTo: {}\nSubject: {}\n\n{}\n",
            mail.letter.kind().as_str(),
            self.settings.from.0,
            mail.to,
            written.subject,
            written.text.or(written.html).unwrap_or_default().trim_end(),
        );
        for (_, calendar) in self.calendars(job, &mail) {
            shown.push('\n');
            shown.push_str(&calendar.replace("\r\n", "\n"));
        }
        Ok(shown)
    }
}

fn person_of(job: &Job) -> Option<&Person> {
    match &job.message.reading {
        Reading::Webinar(event) => Some(&event.person),
        Reading::Other(_) => None,
    }
}

/// A text that cannot be filled fails for every such event: an operator has to mend it.
fn of_template(which: &str, error: &TemplateError) -> RunFailure {
    let reason =
        format!("{which} of the e-mail handler cannot be filled: {error}; mend it, then re-run what is parked");
    RunFailure { kind: RunFailureKind::Hopeless, reason }
}
