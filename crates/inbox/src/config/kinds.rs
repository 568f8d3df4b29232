//! What a `[[handler]]` does: its `type`, and what that type needs.

use std::path::Path;
use std::sync::Arc;

use handlers::exec::{Exec, ExecSettings};
use handlers::forward::{Forward, ForwardSettings};
use handlers::http::{Http, HttpSettings};
use handlers::sql::{SqlHandler, SqlSettings};
use handlers::{CalendarHandler, EmailHandler, EmailSettings, Handler, Templates, Tools};
use receiver::{HandlerRate, HandlerRules};

use super::section::Section;
use super::{calendar, email, exec, forward, http, sql};

/// The types there are, for messages.
const TYPES: &str = "\"sql\", \"email\", \"http\", \"exec\", \"forward\" or \"calendar\"";

/// What a handler does, with its settings.
pub enum HandlerKind {
    /// Writes into the user's own tables.
    Sql(Box<SqlSettings>),
    /// Sends mail, with invitations.
    Email(Box<EmailSettings>),
    /// Calls an HTTP API.
    Http(Box<HttpSettings>),
    /// Runs a command.
    Exec(ExecSettings),
    /// Sends the message on as it came.
    Forward(ForwardSettings),
    /// Keeps calendars that people subscribe to.
    Calendar,
}

pub(super) fn read(section: &Section<'_>, templates: &Templates, public_url: Option<&str>) -> Option<HandlerKind> {
    let kind = section.required_text("type", &format!("write one of {TYPES}"))?;
    match kind {
        "sql" => sql::read(section).map(Box::new).map(HandlerKind::Sql),
        "email" => email::read(section, templates).map(Box::new).map(HandlerKind::Email),
        "http" => http::read(section, templates).map(Box::new).map(HandlerKind::Http),
        "exec" => exec::read(section).map(HandlerKind::Exec),
        "forward" => forward::read(section, templates).map(HandlerKind::Forward),
        "calendar" => calendar::read(section, public_url).map(|()| HandlerKind::Calendar),
        other => {
            section.refuse("type", format!("{other:?} is no type of handler; write one of {TYPES}"));
            None
        }
    }
}

impl HandlerKind {
    /// The name of the type, as the file has it.
    pub fn name(&self) -> &'static str {
        match self {
            HandlerKind::Sql(_) => "sql",
            HandlerKind::Email(_) => "email",
            HandlerKind::Http(_) => "http",
            HandlerKind::Exec(_) => "exec",
            HandlerKind::Forward(_) => "forward",
            HandlerKind::Calendar => "calendar",
        }
    }

    /// The calendar handler it shows people the address of, where it does.
    pub(super) fn calendar(&self) -> Option<&str> {
        match self {
            HandlerKind::Email(settings) => settings.calendar.as_deref(),
            HandlerKind::Sql(_)
            | HandlerKind::Http(_)
            | HandlerKind::Exec(_)
            | HandlerKind::Forward(_)
            | HandlerKind::Calendar => None,
        }
    }

    /// The limits its service is known to have, for a handler that is given none.
    pub(super) fn known_rates(&self) -> Vec<HandlerRate> {
        match self {
            HandlerKind::Http(settings) => settings.preset.rates(),
            HandlerKind::Sql(_)
            | HandlerKind::Email(_)
            | HandlerKind::Exec(_)
            | HandlerKind::Forward(_)
            | HandlerKind::Calendar => Vec::new(),
        }
    }

    /// What is missing on this machine now, with the mend, where that can be seen without doing anything.
    pub fn look(&self) -> Result<(), String> {
        match self {
            HandlerKind::Exec(settings) => settings.look(),
            HandlerKind::Sql(_)
            | HandlerKind::Email(_)
            | HandlerKind::Http(_)
            | HandlerKind::Forward(_)
            | HandlerKind::Calendar => Ok(()),
        }
    }

    /// Makes the handler. `inbox` is the inbox's own file, where it has one, which none may write into. The error says the mend.
    pub(crate) async fn make(
        mut self,
        rules: &HandlerRules,
        tools: &Tools,
        inbox: Option<&Path>,
    ) -> Result<Arc<dyn Handler>, String> {
        if let Err(mend) = self.look() {
            tracing::warn!(
                handler = rules.name,
                reason = mend,
                "something is missing; the handler rests until it is there"
            );
        }
        let HandlerKind::Sql(settings) = &mut self else { return self.make_to_look(rules, tools) };
        settings.forbidden_file = inbox.map(Path::to_owned);
        let handler = SqlHandler::new(*settings.clone(), rules)?;
        // A database that is away now may be there when the first message comes.
        if let Err(failure) = handler.check().await {
            tracing::warn!(handler = rules.name, reason = failure.reason, "the database is not as it should be");
        }
        Ok(Arc::new(handler))
    }

    /// Makes the handler, and connects to nothing.
    pub(crate) fn make_to_look(self, rules: &HandlerRules, tools: &Tools) -> Result<Arc<dyn Handler>, String> {
        Ok(match self {
            HandlerKind::Sql(settings) => Arc::new(SqlHandler::new(*settings, rules)?),
            HandlerKind::Email(settings) => Arc::new(EmailHandler::new(*settings, tools.clone())?),
            HandlerKind::Http(settings) => Arc::new(Http::new(*settings, &tools.egress)?),
            HandlerKind::Exec(settings) => Arc::new(Exec::new(settings)),
            HandlerKind::Forward(settings) => Arc::new(Forward::new(settings, &tools.egress)?),
            HandlerKind::Calendar => Arc::new(CalendarHandler::new(tools.clone())),
        })
    }
}
