//! One e-mail handler in front of a mail server, agendas in memory, and webhooks made by hand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use egress::{Egress, Limits, SystemResolver};
use handlers::{
    EmailHandler, EmailSettings, Handler, Job, JobMessage, Languages, MailTls, RunFailure, Templates, Texts, Tools,
};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use provider::target::TargetPolicy;
use receiver::reading::{Person, ReadMoment, SeriesMark, SessionRead};
use receiver::{KeptHeaders, Reading, WebinarEvent};
use store::{Agenda, Agendas, Calendar, CalendarOf, Chance, StoreError, StoreResult};
use wire::{AccountId, InboxMessageId, SourceId};

use crate::mime::Mail;
use crate::server::{Server, Speaks};

pub(crate) const NOW: &str = "2024-03-01T10:00:00Z";

/// Agendas in memory, as the contract of the store says.
#[derive(Default)]
pub(crate) struct Memory {
    agendas: Mutex<HashMap<(String, String, String), Agenda>>,
    tokens: Mutex<HashMap<(String, CalendarOf), [u8; 20]>>,
    /// Keeps nothing, as if the process had died before.
    pub(crate) forgets: AtomicBool,
}

impl Memory {
    pub(crate) fn len(&self) -> usize {
        self.agendas.lock().unwrap().len()
    }
}

#[async_trait]
impl Agendas for Memory {
    async fn agendas(&self, _: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>> {
        let agendas = self.agendas.lock().unwrap();
        let found = agendas.iter().filter(|((by, whose, _), _)| by == handler && whose == person);
        Ok(found.map(|(_, agenda)| agenda.clone()).collect())
    }

    async fn series_agenda(&self, _: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>> {
        let key = (handler.to_owned(), String::new(), series.to_owned());
        Ok(self.agendas.lock().unwrap().get(&key).cloned())
    }

    async fn keep_agendas(&self, _: AccountId, handler: &str, agendas: Vec<Agenda>) -> StoreResult<()> {
        if self.forgets.load(Ordering::Relaxed) {
            return Err(StoreError::Busy(1));
        }
        let mut kept = self.agendas.lock().unwrap();
        for agenda in agendas {
            let key = (handler.to_owned(), agenda.person.clone(), agenda.series.clone());
            if kept.get(&key).is_none_or(|known| known.version <= agenda.version) {
                kept.insert(key, agenda);
            }
        }
        Ok(())
    }

    async fn calendar_token(
        &self,
        _: AccountId,
        handler: &str,
        of: CalendarOf,
        fresh: [u8; 20],
    ) -> StoreResult<[u8; 20]> {
        Ok(*self.tokens.lock().unwrap().entry((handler.to_owned(), of)).or_insert(fresh))
    }

    async fn calendar(&self, token: [u8; 20]) -> StoreResult<Option<Calendar>> {
        let tokens = self.tokens.lock().unwrap();
        let Some(((handler, of), _)) = tokens.iter().find(|(_, known)| **known == token) else { return Ok(None) };
        let agendas = self.agendas.lock().unwrap();
        let shown = agendas.iter().filter(|((by, person, series), _)| {
            by == handler
                && match of {
                    CalendarOf::Person(whose) => person == whose,
                    CalendarOf::Series(which) => person.is_empty() && series == which,
                }
        });
        Ok(Some(Calendar { of: of.clone(), agendas: shown.map(|(_, agenda)| agenda.clone()).collect() }))
    }
}

/// Bytes that never repeat.
struct Counter(AtomicU8);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) memory: Arc<Memory>,
    pub(crate) tools: Tools,
    pub(crate) handler: EmailHandler,
    messages: u64,
}

pub(crate) fn tools(memory: &Arc<Memory>) -> Tools {
    let names = Arc::new(SystemResolver::from_system().unwrap());
    Tools {
        egress: Egress::new(TargetPolicy::default(), Limits::default(), names).unwrap(),
        agendas: memory.clone(),
        chance: Arc::new(Counter(AtomicU8::new(1))),
        templates: Templates::default(),
        public_url: Some("https://hooks.example".to_owned()),
    }
}

/// Settings for a server at this port of this machine, as they are where the file says nothing else.
pub(crate) fn settings(server: &str) -> EmailSettings {
    EmailSettings {
        server: server.parse().unwrap(),
        tls: MailTls::Opportunistic,
        insecure: false,
        patience: Duration::from_secs(20),
        certificate: None,
        from: "Asha's school <hello@school.example>".parse().unwrap(),
        reply_to: None,
        bcc: None,
        to: None,
        language: None,
        texts: Languages::new(&Templates::default(), Texts::default(), [].into()),
        invite: true,
        calendar: None,
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(Speaks::Plain, |_| {}).await
    }

    /// A world whose settings differ from the usual.
    pub(crate) async fn with(speaks: Speaks, change: impl FnOnce(&mut EmailSettings)) -> World {
        let server = Server::start(speaks).await;
        let memory = Arc::<Memory>::default();
        let tools = tools(&memory);
        let mut settings = settings(&format!("smtp://localhost:{}", server.port));
        change(&mut settings);
        let handler = EmailHandler::new(settings, tools.clone()).unwrap();
        World { server, memory, tools, handler, messages: 0 }
    }

    /// A job for a webhook that has just come.
    pub(crate) fn job(&mut self, event: WebinarEvent) -> Job {
        self.job_of(Reading::Webinar(Box::new(event)))
    }

    pub(crate) fn job_of(&mut self, reading: Reading) -> Job {
        self.messages += 1;
        let message = JobMessage {
            id: InboxMessageId::from_u64(self.messages),
            source: SourceId::from_bytes([1; 16]),
            source_name: "school".into(),
            message_id: None,
            received_at: NOW.parse().unwrap(),
            headers: KeptHeaders::from_text(String::new()),
            body: Bytes::from_static(b"{}"),
            reading,
        };
        Job {
            account: AccountId::from_u32(1),
            handler: "mails".into(),
            message: Arc::new(message),
            attempt: 1,
            generation: 0,
            now: NOW.parse().unwrap(),
        }
    }

    pub(crate) async fn handle(&mut self, event: WebinarEvent) -> Result<String, RunFailure> {
        let job = self.job(event);
        self.handler.handle(&job).await
    }

    /// Handles the event, which must lead to one mail.
    pub(crate) async fn mail_for(&mut self, event: WebinarEvent) -> Mail {
        let before = self.server.taken().len();
        let said = self.handle(event).await.unwrap();
        let taken = self.server.taken();
        assert_eq!(taken.len(), before + 1, "{said}");
        Mail::read(&taken.last().unwrap().data)
    }
}

fn moment(instant: Timestamp) -> ReadMoment {
    let offset = Offset::from_seconds(19_800).unwrap();
    ReadMoment { instant, offset, wall: offset.to_datetime(instant) }
}

/// A session of an hour of a creator in India.
pub(crate) fn session(id: &str, begin: &str) -> SessionRead {
    let begin: Timestamp = begin.parse().unwrap();
    SessionRead {
        id: id.to_owned(),
        title: "Design clinic".to_owned(),
        link: "https://meet.example/abc".to_owned(),
        begin: Some(moment(begin)),
        end: Some(moment(begin + SignedDuration::from_hours(1))),
    }
}

/// The announcement of a series, without a series' id, to Bo in New York.
pub(crate) fn announcement(sessions: &[SessionRead]) -> WebinarEvent {
    WebinarEvent {
        event: "webinar.created.recurring".to_owned(),
        person: Person {
            name: "Bo".to_owned(),
            email: Some("bo@example.com".to_owned()),
            phone: None,
            offset: Some(Offset::constant(-4)),
            zone: None,
        },
        sessions: sessions.to_vec(),
        mangoes: Vec::new(),
        series: None,
        is_test: false,
        repairs: Vec::new(),
    }
}

pub(crate) fn of_series(version: u64, sessions: &[SessionRead]) -> WebinarEvent {
    let series = SeriesMark { id: "65f0c0ffee00000000005e01".to_owned(), version, trigger: None };
    WebinarEvent { series: Some(series), ..announcement(sessions) }
}
