//! What the receiver can do with a message: one file for each kind of handler, all behind [`Handler`]. Retries, pace,
//! order and leases are not here: the run worker has them.

mod agendas;
mod calendar;
mod email;
pub mod exec;
mod filter;
pub mod forward;
pub mod http;
mod ics;
mod job;
mod names;
pub mod sql;
mod template;
mod words;

use std::sync::Arc;

use async_trait::async_trait;
use egress::Egress;
use store::{Agendas, Chance};

pub use agendas::calendar_url;
pub use calendar::CalendarHandler;
pub use email::{
    CalendarWords, EmailHandler, EmailSettings, Languages, MailAddress, MailCertificate, MailServer, MailSettingError,
    MailTls, Texts,
};
pub use filter::{Filter, FilterError};
pub use ics::feed;
pub use job::{Job, JobMessage};
pub use receiver::{RunFailure, RunFailureKind};
pub use template::{Template, TemplateError, Templates};

/// One way to handle a message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Does it once. May be called again for the same job after a crash: what must not happen twice carries
    /// [`Job::idempotency_key`]. The worker bounds the time and catches a panic. The text says what was done, in a few
    /// words without anything of the person; it is logged.
    async fn handle(&self, job: &Job) -> Result<String, RunFailure>;

    /// What [`handle`](Handler::handle) would do, in words and texts for a person, without doing anything.
    async fn foresee(&self, job: &Job) -> Result<String, RunFailure>;

    /// How many jobs it likes to do at once, such as in one transaction.
    fn batch_max(&self) -> usize {
        1
    }

    /// Does several jobs about different people or series; what came of each, in their order. Where it panics or takes
    /// too long, each job is tried alone, so a handler that likes several does them in one transaction.
    async fn handle_batch(&self, jobs: &[Job]) -> Vec<Result<String, RunFailure>> {
        let mut done = Vec::with_capacity(jobs.len());
        for job in jobs {
            done.push(self.handle(job).await);
        }
        done
    }
}

/// What handlers share. Each kind's settings are plain and checked; these are the means.
#[derive(Clone)]
pub struct Tools {
    /// The one way out for HTTP.
    pub egress: Egress,
    /// What people's calendars hold.
    pub agendas: Arc<dyn Agendas>,
    /// For the addresses of calendars.
    pub chance: Arc<dyn Chance>,
    /// Compiles texts with gaps.
    pub templates: Templates,
    /// Where this server is reached from outside, such as `https://hooks.example`, without a slash at the end.
    pub public_url: Option<String>,
}
