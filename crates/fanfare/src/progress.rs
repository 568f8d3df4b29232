//! How far something has got, on stderr: a bar on a terminal, a plain line each second elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::output::{self, grouped};

/// Often enough to see that it goes on, rarely enough for a log.
const BETWEEN_LINES: Duration = Duration::from_secs(1);
/// Redraws of a bar each second.
const REDRAWS_A_SECOND: u8 = 10;

/// Tells how far one piece of work has got.
pub(crate) struct Progress {
    label: String,
    total: u64,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines(Mutex<LinesState>),
}

struct LinesState {
    reached: u64,
    next_line: Instant,
}

impl Progress {
    /// Starts to tell of `total` pieces of work.
    pub(crate) fn start(label: &str, total: u64) -> Progress {
        Progress::with_unit(label, total, "{human_pos} / {human_len}")
    }

    /// Starts to tell of `total` bytes; 0 where nobody knows how many come.
    pub(crate) fn start_bytes(label: &str, total: u64) -> Progress {
        let unit = if total == 0 { "{bytes}" } else { "{bytes} / {total_bytes}" };
        Progress::with_unit(label, total, unit)
    }

    fn with_unit(label: &str, total: u64, unit: &str) -> Progress {
        let shown = if draws_bars() {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(REDRAWS_A_SECOND));
            bar.set_style(style(&format!("  {{prefix:<28}} {{bar:30.cyan/dim}} {unit}  {{eta}}")));
            bar.set_prefix(label.to_owned());
            Shown::Bar(bar)
        } else {
            Shown::Lines(Mutex::new(LinesState { reached: 0, next_line: Instant::now() + BETWEEN_LINES }))
        };
        Progress { label: label.to_owned(), total, shown }
    }

    /// Says that `reached` of the total is done.
    pub(crate) fn set(&self, reached: u64) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_position(reached),
            Shown::Lines(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.reached = reached;
                if Instant::now() >= state.next_line {
                    state.next_line = Instant::now() + BETWEEN_LINES;
                    output::say(&self.line(reached));
                }
            }
        }
    }

    /// Says that it is done, as far as it got.
    pub(crate) fn finish(&self) {
        let reached = match &self.shown {
            // A bar that stays would end its line by the terminal's width, which a log of the terminal does not have.
            Shown::Bar(bar) => {
                bar.finish_and_clear();
                bar.position()
            }
            Shown::Lines(state) => state.lock().unwrap_or_else(PoisonError::into_inner).reached,
        };
        output::say(&self.line(reached));
    }

    fn line(&self, reached: u64) -> String {
        match self.total {
            0 => format!("  {}: {}", self.label, grouped(reached)),
            total => format!("  {}: {} of {}", self.label, grouped(reached), grouped(total)),
        }
    }
}

/// A bar moves the cursor, which only a real terminal understands.
fn draws_bars() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

fn style(template: &str) -> ProgressStyle {
    // The templates are the ones above, so only a slip in this file could fail, and then a plain bar is shown.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_work_and_how_far_it_is() {
        let progress = Progress::start("participants", 1_000);
        assert_eq!(progress.line(3), "  participants: 3 of 1,000");
        assert_eq!(Progress::start_bytes("read", 0).line(3), "  read: 3");
    }

    #[test]
    fn every_template_is_one_the_bar_understands() {
        for unit in ["{human_pos} / {human_len}", "{bytes}", "{bytes} / {total_bytes}"] {
            assert!(
                ProgressStyle::with_template(&format!("  {{prefix:<28}} {{bar:30.cyan/dim}} {unit}  {{eta}}")).is_ok()
            );
        }
    }
}
