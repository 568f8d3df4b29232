//! From an attempt that has ended to what is written down, and to how the handler goes on.

use handlers::RunFailure;
use receiver::RunFailureKind;
use receiver::handling::{Jitter, RunVerdict, TargetSign, judge};
use store::{RunState, SettledRun};

use super::super::attempts::{Ended, How};
use super::super::hand::Run;
use super::Tenure;

/// What is kept of a reason, bytes: some sentences.
const REASON_BYTES_MAX: usize = 1_000;

impl Tenure<'_> {
    /// Notes an attempt that has ended and all others that have ended meanwhile.
    pub(super) fn note_all(&mut self, first: Ended) {
        let time_max = self.runner.handler.rules.timeout;
        let was_resting = self.runner.health.rest.is_resting();
        self.note(first);
        while let Some(ended) = self.attempts.try_next(time_max) {
            self.note(ended);
        }
        // What was read would wait for long, and is read anew.
        let rest = self.runner.health.rest;
        if rest.is_resting() && rest.window(1, self.runner.health.now()) == 0 {
            if !was_resting {
                tracing::warn!(handler = self.runner.name(), "the handler's target is down; the handler rests");
            }
            self.let_go();
        } else if was_resting && !rest.is_resting() {
            tracing::info!(handler = self.runner.name(), "the handler's target is back");
        }
    }

    fn note(&mut self, ended: Ended) {
        match ended.how {
            How::Answered(answers) => {
                let mut answers = answers.into_iter();
                for run in ended.runs {
                    let silent = || Err(failure("the handler did not say what came of it"));
                    let answer = answers.next().unwrap_or_else(silent);
                    let sign = TargetSign::of(answer.as_ref().err());
                    self.note_run(run, answer, sign);
                }
            }
            How::Broke(reason) if ended.runs.len() > 1 => {
                tracing::warn!(handler = self.runner.name(), reason, "a batch broke; each run of it is tried alone");
                ended.runs.into_iter().for_each(|run| self.hand.put_back_alone(run));
            }
            How::Left => {
                let (handler, runs) = (self.runner.name(), ended.runs.len());
                tracing::warn!(
                    handler,
                    runs,
                    "the lease was not renewed in time; what was in flight was left for its next owner"
                );
                ended.runs.into_iter().for_each(|run| self.hand.put_back(run));
            }
            How::Broke(reason) => {
                for run in ended.runs {
                    self.note_run(run, Err(failure(&reason)), TargetSign::Silent);
                }
            }
        }
    }

    fn note_run(&mut self, run: Run, answer: Result<String, RunFailure>, sign: TargetSign) {
        let health = &mut self.runner.health;
        health.rest = health.rest.after(sign, health.now());
        self.hand.finish(&run);
        let (handler, message, attempt) = (self.runner.name(), run.job.message.id, run.job.attempt);
        let settled = match answer {
            Ok(what) => {
                tracing::debug!(handler, %message, attempt, what, "a message was handled");
                let handled = run.subject.map(|subject| (subject, run.version));
                SettledRun { handled, ..run.settled(attempt, RunState::Done) }
            }
            Err(failure) => {
                let now = self.runner.context.clock.now();
                let jitter = Jitter::from_bits(u64::from_ne_bytes(self.runner.context.chance.bytes()));
                let reason = shorten(failure.reason.clone());
                run.settled(
                    attempt,
                    match judge(&failure, attempt, &self.runner.handler.rules, now, jitter) {
                        RunVerdict::Again { due } => {
                            tracing::info!(handler, %message, attempt, reason, %due, "a message is to be tried again");
                            RunState::Waiting { due, reason }
                        }
                        RunVerdict::Park => {
                            tracing::warn!(handler, %message, attempt, reason, "a message was parked");
                            RunState::Parked { reason }
                        }
                    },
                )
            }
        };
        if let Some((subject, version)) = settled.handled {
            self.hand.note_newest(subject, (version, run.number));
        }
        self.ledger.record(settled);
    }
}

fn failure(reason: &str) -> RunFailure {
    RunFailure { kind: RunFailureKind::Retry { after: None }, reason: reason.to_owned() }
}

fn shorten(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}
