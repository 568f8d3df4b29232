//! The page at `/`: what was announced and how far it has got, the newest deliveries, the newest messages of the inbox.
//! Server-rendered, read-only, no script. All text on it may be a stranger's, so all of it is escaped.

mod inbox_view;
#[cfg(test)]
mod tests;
mod view;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use minijinja::Environment;
use minijinja::value::Serde;
use provider::api_key::Scope;
use store::Account;

use crate::Dashboard;
use crate::app::{App, AppState};
use crate::caller::{Caller, ClientAddress};
use crate::problem::Problem;
use view::{AccountView, PageView};

/// Accounts on one page; an open dashboard is for a demo or a machine of one's own, which has few.
const ACCOUNTS_MAX: usize = 20;

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";
/// Browsers show it above the fields for name and password.
const CHALLENGE: &str = "Basic realm=\"Fanfare: any user name, an API key as the password\"";
const STYLE: &str = include_str!("../assets/style.css");

/// The templates, parsed.
pub(crate) fn pages() -> Environment<'static> {
    let mut pages = Environment::new();
    // The name's ending switches escaping on.
    pages.add_template("page.html", include_str!("../templates/page.html")).expect("our own template is well-formed");
    pages.add_filter("grouped", grouped);
    pages
}

/// `GET /`
pub(crate) async fn show(State(app): State<AppState>, request: Request) -> Response {
    let (headers, from) = (request.headers(), ClientAddress::of(request.extensions()));
    let accounts = match shown_accounts(&app, headers, from).await {
        Ok(accounts) => accounts,
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED => return challenge(),
        // A person reads it in a browser.
        Err(problem) if problem.status == StatusCode::FORBIDDEN => {
            return with_policy((problem.status, format!("{}\n", problem.detail)).into_response());
        }
        Err(problem) => return problem.into_response(),
    };
    match page(&app, accounts, headers).await {
        Ok(html) => with_policy(html_response(html)),
        Err(problem) => problem.into_response(),
    }
}

/// `GET /assets/style.css`
pub(crate) async fn style() -> Response {
    let mut response = Response::new(Body::from(STYLE));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    // It changes with the program only, and the page asks for it by version.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    response
}

async fn shown_accounts(app: &App, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Vec<Account>, Problem> {
    if app.context.settings.dashboard == Dashboard::Open {
        if !is_local_name(headers) {
            return Err(Problem::named_host());
        }
        return Ok(app.store().accounts().await?);
    }
    let password = basic_password(headers).ok_or_else(|| Problem::unauthorized("sign in with one as the password"))?;
    let caller = Caller::of_key(app, &password, Scope::Read, from).await?;
    let all = app.store().accounts().await?;
    Ok(all.into_iter().filter(|account| account.id == caller.account).collect())
}

/// Whether the page is asked for under an IP address or as localhost. A name that a stranger's page was loaded from may
/// be made to lead here (DNS rebinding), and its script would then read what is open to whoever reaches it.
fn is_local_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|value| value.to_str().ok()) else { return false };
    if host.parse::<SocketAddr>().is_ok() || host.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    if let Some(v6) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().is_ok();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
}

/// The password of HTTP Basic (RFC 7617).
fn basic_password(headers: &HeaderMap) -> Option<String> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

fn challenge() -> Response {
    let text = "This page shows one account. Sign in with any user name, an API key as the password.\n";
    let mut response = (StatusCode::UNAUTHORIZED, text).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    with_policy(response)
}

async fn page(app: &App, accounts: Vec<Account>, headers: &HeaderMap) -> Result<String, Problem> {
    let hidden = accounts.len().saturating_sub(ACCOUNTS_MAX);
    let mut views = Vec::new();
    for account in accounts.iter().take(ACCOUNTS_MAX) {
        views.push(AccountView::read(app, account).await?);
    }
    let view = PageView::new(app, views, hidden, origin(headers));
    let template = app.pages.get_template("page.html").map_err(|error| Problem::internal(&error))?;
    template.render(Serde(view)).map_err(|error| Problem::internal(&error))
}

/// How this server is reached, for commands to copy. The header is the client's word, so only a plain one is used.
fn origin(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let is_plain = |host: &&str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte))
    };
    format!("http://{}", host.filter(is_plain).unwrap_or("127.0.0.1:8080"))
}

fn html_response(html: String) -> Response {
    let mut response = Response::new(Body::from(html));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(opener, HeaderValue::from_static("same-origin"));
    response
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
