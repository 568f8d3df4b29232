//! `POST /api/v1/endpoints/{id}/test`: sends one webhook about nobody, now, and answers what came back. Never retried and
//! in no log; each account has so many in a minute, because each is a request to a place of its owner's choosing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use jiff::Timestamp;
use provider::attempt::TestReport;
use serde::Serialize;
use serde_json::value::RawValue;
use wire::AccountId;

use crate::app::AppState;
use crate::attempt_view::{AnswerView, PhasesView};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::request::{NoQuery, QueryOf, parse_id};

/// Test webhooks of one account within [`TEST_SENDS_PER`]: enough to try every endpoint after a mend, too few to be a
/// burden on anyone's receiver.
const TEST_SENDS_MAX: usize = 20;
/// See [`TEST_SENDS_MAX`].
const TEST_SENDS_PER: Duration = Duration::from_secs(60);
/// Accounts remembered before those that have been quiet for [`TEST_SENDS_PER`] are forgotten.
const ACCOUNTS_REMEMBERED: usize = 1_024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestView {
    /// Whether the receiver took it: it answered 2xx.
    delivered: bool,
    #[serde(flatten)]
    answer: AnswerView,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    phases: PhasesView,
    /// What was sent.
    request: RequestView,
}

#[derive(Serialize)]
struct RequestView {
    headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
}

impl TestView {
    fn of(report: TestReport) -> TestView {
        let body = String::from_utf8(report.body).ok().and_then(|body| RawValue::from_string(body).ok());
        TestView {
            delivered: report.outcome.is_delivered(),
            answer: AnswerView::of(report.outcome),
            reason: report.reason.map(|reason| reason.to_string()),
            phases: PhasesView::of(&report.phases),
            request: RequestView { headers: report.headers.into_iter().collect(), body },
        }
    }
}

/// Sends it and waits for the answer.
pub(crate) async fn send(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(NoQuery {}): QueryOf<NoQuery>,
) -> Reply {
    let Some(send) = &app.context.test_send else { return Err(Problem::no_such_route()) };
    let found = app.store().endpoint(caller.account, parse_id(&id, "endpoint")?).await?;
    let endpoint = found.ok_or_else(|| Problem::not_found("endpoint"))?;
    app.test_budgets.spend(caller.account, app.now()).map_err(|wait| {
        let seconds = TEST_SENDS_PER.as_secs();
        Problem::too_many(wait, format!("an account may send {TEST_SENDS_MAX} test webhooks in {seconds} s"))
    })?;
    Ok(reply::ok(&TestView::of(send(endpoint).await?)))
}

/// When each account sent its last test webhooks. Kept in memory: a restart forgives, which harms nobody.
#[derive(Default)]
pub(crate) struct TestBudgets {
    spent: Mutex<HashMap<AccountId, VecDeque<Timestamp>>>,
}

impl TestBudgets {
    /// Notes one more, or says how long to wait.
    fn spend(&self, account: AccountId, now: Timestamp) -> Result<(), Duration> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= ACCOUNTS_REMEMBERED {
            spent.retain(|_, times| times.back().is_some_and(|last| is_recent(*last, now)));
        }
        let times = spent.entry(account).or_default();
        times.retain(|at| is_recent(*at, now));
        match times.front() {
            Some(first) if times.len() >= TEST_SENDS_MAX => {
                Err((*first + TEST_SENDS_PER).duration_since(now).unsigned_abs())
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

/// What lies ahead was noted before the clock was set back, and would bind for too long.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at + TEST_SENDS_PER
}
