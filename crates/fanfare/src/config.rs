//! The settings of `serve`: option over environment over file over default, checked once, at the start.

use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use provider::lane::DISABLE_AFTER;
use provider::target::AllowRule;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use web::{Dashboard, Halves};
use webinar::RuleUpdate;

use crate::database::{Database, DatabaseArgs};
use crate::logs::LogFormat;
use crate::secret_keys::KeySource;

#[cfg(test)]
mod tests;

/// What was typed or written cannot be meant; the program ends with code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// One half of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Half {
    /// Series, audiences, subscriptions and deliveries.
    Provider,
    /// Sources and the inbox.
    Receiver,
}

/// What happens where newer rules of a time zone move sessions that were announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuleChanges {
    /// Tell the owner, who decides.
    Ask,
    /// Tell the owner and announce the update.
    Announce,
}

/// The options of `serve`. None has a default here, so that what was not typed can come from the file.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Where to listen, address and port [default: 127.0.0.1:8080]
    #[arg(long, env = "FANFARE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<ListenAddress>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// A network outside the public internet that webhooks may be sent to, such as 127.0.0.0/8 or 10.1.2.3:8080;
    /// may be given several times. By default there is none.
    #[arg(long, env = "FANFARE_ALLOW_TARGET", value_name = "CIDR[:PORTS]", value_delimiter = ',')]
    allow_target: Vec<AllowRule>,
    /// Refuse to send webhooks to http:// URLs.
    #[arg(long, env = "FANFARE_HTTPS_ONLY", value_parser = BoolishValueParser::new())]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    https_only: Option<bool>,
    /// Show the dashboard to whoever reaches it, without a key; for a machine of your own.
    #[arg(long, env = "FANFARE_OPEN_DASHBOARD", value_parser = BoolishValueParser::new())]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    open_dashboard: Option<bool>,
    /// Run one half only.
    #[arg(long, env = "FANFARE_ONLY", value_enum, value_name = "HALF")]
    only: Option<Half>,
    /// Days an endpoint may fail until it is disabled and its owner told, 1 to 365 [default: 3]
    #[arg(long, env = "FANFARE_DISABLE_AFTER", value_name = "DAYS")]
    disable_after: Option<Days>,
    /// What to do where newer rules of a time zone move sessions that were announced [default: ask]
    #[arg(long, env = "FANFARE_RULE_CHANGES", value_enum, value_name = "WHAT")]
    rule_changes: Option<RuleChanges>,
    /// How the log on stderr is written [default: text]
    #[arg(long, env = "FANFARE_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// The settings of `serve`, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) database: Database,
    pub(crate) secret_keys: KeySource,
    pub(crate) allow_targets: Vec<AllowRule>,
    pub(crate) schemes: Schemes,
    pub(crate) dashboard: Dashboard,
    pub(crate) halves: Halves,
    pub(crate) disable_after: Duration,
    pub(crate) rule_updates: RuleUpdate,
    pub(crate) log_format: LogFormat,
    /// The settings file, for what the receiving half reads of it.
    pub(crate) file: Option<PathBuf>,
}

/// Which URLs webhooks may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schemes {
    /// `http` and `https`.
    Both,
    /// `https` alone.
    HttpsOnly,
}

impl SettingsArgs {
    /// Adds the file and the defaults.
    pub(crate) fn complete(self) -> anyhow::Result<Settings> {
        let path = self.database.config.clone();
        let file = ConfigFile::read(path.as_deref())?;
        let allow_targets = if self.allow_target.is_empty() { file.allow_target } else { self.allow_target };
        let https_only = self.https_only.or(file.https_only).unwrap_or_default();
        let open_dashboard = self.open_dashboard.or(file.open_dashboard).unwrap_or_default();
        Ok(Settings {
            listen: self.listen.or(file.listen).unwrap_or_default().0,
            secret_keys: self.database.secret_key.source(file.secret_key_file)?,
            database: self.database.database.or(file.database).unwrap_or_default(),
            allow_targets,
            schemes: if https_only { Schemes::HttpsOnly } else { Schemes::Both },
            dashboard: if open_dashboard { Dashboard::Open } else { Dashboard::Keyed },
            halves: match self.only.or(file.only) {
                None => Halves::Both,
                Some(Half::Provider) => Halves::Provider,
                Some(Half::Receiver) => Halves::Receiver,
            },
            disable_after: self.disable_after.or(file.disable_after).map_or(DISABLE_AFTER, Days::duration),
            rule_updates: match self.rule_changes.or(file.rule_changes) {
                None | Some(RuleChanges::Ask) => RuleUpdate::Waiting,
                Some(RuleChanges::Announce) => RuleUpdate::Announced,
            },
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
            file: path,
        })
    }
}

/// An address and port to listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress(pub(crate) SocketAddr);

impl Default for ListenAddress {
    /// Loopback: who wants others to reach it says so.
    fn default() -> ListenAddress {
        ListenAddress(SocketAddr::from(([127, 0, 0, 1], 8080)))
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<ListenAddress, &'static str> {
        let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse().map(ListenAddress).map_err(|_| "write an address and a port, such as 127.0.0.1:8080")
    }
}

/// The settings file. Its keys are named as the options.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ConfigFile {
    #[serde(default, deserialize_with = "from_text")]
    listen: Option<ListenAddress>,
    #[serde(default, deserialize_with = "from_text")]
    pub(crate) database: Option<Database>,
    pub(crate) secret_key_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "from_texts")]
    pub(crate) allow_target: Vec<AllowRule>,
    https_only: Option<bool>,
    open_dashboard: Option<bool>,
    only: Option<Half>,
    #[serde(default, deserialize_with = "from_number")]
    disable_after: Option<Days>,
    rule_changes: Option<RuleChanges>,
    log_format: Option<LogFormat>,
    /// The receiving half's: `inbox::config` reads them.
    #[serde(default)]
    inbox: Option<IgnoredAny>,
    #[serde(default)]
    source: Option<IgnoredAny>,
    #[serde(default)]
    handler: Option<IgnoredAny>,
}

/// The keys of [`ConfigFile`] that are `serve`'s own.
pub(crate) const OWN_KEYS: [&str; 10] = [
    "listen",
    "database",
    "secret-key-file",
    "allow-target",
    "https-only",
    "open-dashboard",
    "only",
    "disable-after",
    "rule-changes",
    "log-format",
];
/// The tables of the receiving half.
const INBOX_TABLES: [&str; 3] = ["inbox", "source", "handler"];
/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion puzzles more than it helps.
const LIKENESS_MIN: f64 = 0.7;

impl ConfigFile {
    /// Reads the file; without one, nothing is set.
    pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<ConfigFile> {
        let Some(path) = path else { return Ok(ConfigFile::default()) };
        let name = PathBuf::from(path);
        let text = fs::read_to_string(path)
            .map_err(|error| UsageError(format!("cannot read the settings file {}: {error}", name.display())))?;
        Ok(ConfigFile::parse(&text)
            .map_err(|mistake| UsageError(format!("settings file {}: {mistake}", name.display())))?)
    }

    fn parse(text: &str) -> Result<ConfigFile, String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| told(text, &error))?;
        let is_known = |key: &str| OWN_KEYS.contains(&key) || INBOX_TABLES.contains(&key);
        if let Some(unknown) = table.keys().find(|key| !is_known(key)) {
            return Err(unknown_key(unknown));
        }
        toml::from_str(text).map_err(|error| told(text, &error))
    }
}

/// Without the line itself, which may hold a secret.
fn told(text: &str, error: &toml::de::Error) -> String {
    let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    format!("TOML parse error at line {line}: {}", error.message())
}

fn unknown_key(key: &str) -> String {
    let likeness = |known: &&str| strsim::jaro_winkler(known, &key.replace('_', "-"));
    let nearest = OWN_KEYS.into_iter().chain(INBOX_TABLES).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|known| likeness(known) >= LIKENESS_MIN) {
        Some(known) => format!("key {key:?} is unknown; did you mean {known:?}"),
        None => format!("key {key:?} is unknown; known are {}, {}", OWN_KEYS.join(", "), INBOX_TABLES.join(", ")),
    }
}

/// A number of days that a setting may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days(u16);

/// A year: longer than that nobody waits for a receiver.
const DAYS_MAX: u16 = 365;

impl Days {
    fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 24 * 3600)
    }
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Days, String> {
        let days = text.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
        days.map(Days).ok_or_else(|| format!("give a number of days, 1 to {DAYS_MAX}"))
    }
}

fn from_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Days>, D::Error> {
    u64::deserialize(deserializer)?.to_string().parse().map(Some).map_err(D::Error::custom)
}

fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn from_texts<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}
