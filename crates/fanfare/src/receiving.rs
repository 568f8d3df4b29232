//! The receiving half as the settings file has it: read, its secrets brought from the environment and from files, and made
//! ready on a server's store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use egress::Egress;
use inbox::config::InboxConfig;
use inbox::half::{self, Half, Means};
use store::Store;
use tokio::sync::{Notify, watch};
use wire::AccountId;

use crate::clock::{SystemChance, SystemClock};
use crate::config::{OWN_KEYS, UsageError};

/// A secret is a line, certificates are some hundred kilobytes; a file given by mistake is refused rather than cut.
const SECRET_BYTES_MAX: u64 = 1024 * 1024;

/// The file with the settings, and that of the database they are for, where it is one.
#[derive(Clone, Debug)]
pub(crate) struct ReceivingSettings {
    pub(crate) file: PathBuf,
    pub(crate) database: Option<PathBuf>,
}

/// The text of a settings file.
pub(crate) fn read_text(file: &Path) -> anyhow::Result<String> {
    let told = |error| UsageError(format!("cannot read the settings file {}: {error}", file.display()));
    Ok(std::fs::read_to_string(file).map_err(told)?)
}

/// Reads what the file says of the receiving half, for this account.
pub(crate) fn read(file: &Path, text: &str, account: AccountId) -> anyhow::Result<InboxConfig> {
    let config = InboxConfig::read(text, &OWN_KEYS, account, &bring_secret);
    config.map_err(|mistakes| {
        let name = file.display();
        let lines = mistakes.iter().map(|mistake| format!("{name}: {mistake}"));
        UsageError(lines.collect::<Vec<_>>().join("\n")).into()
    })
}

/// Makes the half ready that the file describes.
pub(crate) async fn prepare(
    settings: &ReceivingSettings,
    store: Arc<dyn Store>,
    egress: Egress,
    hint: Arc<Notify>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Half> {
    let text = read_text(&settings.file)?;
    let means = Means {
        store,
        database: settings.database.clone(),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        egress,
        hint,
        stop,
    };
    let account = half::account(&means, InboxConfig::account_in(&text).as_deref()).await?;
    let config = read(&settings.file, &text, account)?;
    Half::prepare(config, account, Vec::new(), means).await
}

/// Whether the file says anything of the receiving half.
pub(crate) fn is_in(text: &str) -> bool {
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    ["inbox", "source", "handler"].iter().any(|name| table.contains_key(*name))
}

/// Brings what the file only names.
fn bring_secret(text: &str) -> Result<String, String> {
    if let Some(name) = text.strip_prefix("env:") {
        return std::env::var(name)
            .map_err(|_| format!("the environment variable {name} is not set; set it before the start"));
    }
    let path = text.strip_prefix("file:").unwrap_or(text);
    read_secret(Path::new(path)).map_err(|error| format!("{error:#}"))
}

fn read_secret(path: &Path) -> anyhow::Result<String> {
    use std::io::Read;
    let mut secret = String::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut secret)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(secret.len() as u64 <= SECRET_BYTES_MAX, "{} is larger than a secret, 1 MiB at most", path.display());
    Ok(secret.trim_end_matches(['\r', '\n']).to_owned())
}
