//! `[[source]]`: a place webhooks come in at, which preset its sender signs by, and its limits.

use receiver::{Challenge, ParsePresetError, Preset, Scheme, Source, SourceError, SourceRate};
use wire::AccountId;
use zeroize::Zeroizing;

use super::section::{LIKENESS_MIN, Section};

mod verify;

#[cfg(test)]
mod tests;

/// The server's own limit is lower unless it was raised.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
const HOW_TO_MAKE_A_PATH: &str =
    "with this preset the path is all that keeps strangers out; make one with: openssl rand -hex 16";
/// What TagMango is asked for where it can send a header at all.
const TAGMANGO_HEADER: &str = "x-api-key";

/// The sources of `[[source]]` tables, those that are whole; each name and each path once.
pub(super) fn read_all(sections: Vec<Section<'_>>, account: AccountId) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for section in sections {
        let Some(source) = read(&section, account) else { continue };
        if sources.iter().any(|other| other.name() == source.name()) {
            section.refuse("name", "is the name of another source, too; each needs its own");
        } else if let Some(other) = sources.iter().find(|other| other.path() == source.path()) {
            let key = if section.has("path") { "path" } else { "name" };
            section.refuse(
                key,
                format!("makes the path of source {:?}, too; give one of them another path", other.name()),
            );
        } else {
            sources.push(source);
        }
    }
    sources
}

/// The source of one `[[source]]` table; `None` where something is wrong, which the section has then noted.
pub(super) fn read(section: &Section<'_>, account: AccountId) -> Option<Source> {
    let name = section.required_text("name", "give the source a name, such as name = \"tagmango\"");
    let given_path = section.secret("path");
    let preset = read_preset(section);
    let (event, rate) = (section.text("event"), section.text("rate"));
    let body_max = section.bytes("body-max", 1..=BODY_BYTES_MAX);
    // Looked at even where something above is wrong, so that all mistakes are told at once.
    let scheme = preset.and_then(|preset| read_scheme(section, preset));
    // Which keys are known depends on the preset.
    if preset.is_some() {
        section.refuse_the_rest();
    }
    let (name, scheme) = (name?, scheme?);
    let path = path_of(section, name, given_path, &scheme)?;
    let made = Source::named(account, name, scheme, &path);
    let mut source = made.map_err(|error| refuse(section, &error)).ok()?;
    if let Some(event) = event {
        source = source.with_event(event).map_err(|error| refuse(section, &error)).ok()?;
    }
    if section.has("rate") {
        let rate: SourceRate = rate?.parse().map_err(|error| section.refuse("rate", error)).ok()?;
        source = source.with_rate(rate);
    }
    if section.has("body-max") {
        source = source.with_body_bytes_max(usize::try_from(body_max?).ok()?);
    }
    Some(source)
}

/// The preset named, or `custom` where the way of signing is declared, or our own.
fn read_preset(section: &Section<'_>) -> Option<Preset> {
    let is_declared = section.has("verify");
    if !section.has("preset") {
        return Some(if is_declared { Preset::Custom } else { Preset::StandardWebhooks });
    }
    let name = section.text("preset")?;
    let preset = match name.parse() {
        Ok(preset) => preset,
        Err(error) => {
            section.refuse("preset", unknown_preset(name, error));
            return None;
        }
    };
    if is_declared && preset != Preset::Custom {
        section.refuse("verify", format!("stands beside the preset {preset}; leave one of the two out"));
        return None;
    }
    Some(preset)
}

fn unknown_preset(name: &str, error: ParsePresetError) -> String {
    let wanted = name.to_lowercase().replace(['_', ' '], "-");
    let likeness = |preset: &Preset| strsim::jaro_winkler(preset.as_str(), &wanted);
    let nearest = Preset::ALL.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest.filter(|preset| likeness(preset) >= LIKENESS_MIN) {
        Some(preset) => format!("{name:?} {error}; did you mean {:?}", preset.as_str()),
        None => format!("{name:?} {error}"),
    }
}

fn read_scheme(section: &Section<'_>, preset: Preset) -> Option<Scheme> {
    let scheme = match preset {
        Preset::StandardWebhooks
        | Preset::Svix
        | Preset::Stripe
        | Preset::GitHub
        | Preset::Shopify
        | Preset::Zoom
        | Preset::Slack
        | Preset::Razorpay
        | Preset::Calendly
        | Preset::CalCom
        | Preset::Bearer => {
            let keys = required(section, "keys", key_mend(preset))?;
            Scheme::of_keys(preset, texts(&keys))
        }
        Preset::Meta => {
            let keys = required(section, "keys", key_mend(preset));
            let token = required(section, "verify-token", "give the token you type into Meta's form, a long one");
            Scheme::meta(texts(&keys?), token?.first()?)
        }
        Preset::Basic => {
            let user = section.required_text("user", "give the user the sender sends");
            let passwords = required(section, "password", "give the password the sender sends, or a list of them");
            Scheme::basic(user?, texts(&passwords?))
        }
        Preset::Header => {
            let name = section.required_text("header", "give the name of the header, such as \"x-webhook-token\"");
            let values = required(section, "value", "give what the sender puts into the header, or a list of it");
            Scheme::header(name?, texts(&values?))
        }
        Preset::Path => Ok(Scheme::path()),
        Preset::Graph => Ok(Scheme::path().with_challenge(Challenge::Graph)),
        Preset::TagMango => read_tagmango(section)?,
        Preset::Custom => return verify::read(section),
    };
    refuse_keys_of_others(section, preset);
    scheme.map_err(|error| refuse(section, &error)).ok()
}

/// The path, and a header as well where `value` is given.
fn read_tagmango(section: &Section<'_>) -> Option<Result<Scheme, SourceError>> {
    let name = section.text("header");
    if !section.has("value") {
        if section.has("header") {
            section.refuse("header", "needs a value = \"env:…\" beside it: what TagMango puts into the header");
            return None;
        }
        return Some(Ok(Scheme::path()));
    }
    let values = section.secrets("value")?;
    Some(Scheme::path_and_header(name.unwrap_or(TAGMANGO_HEADER), texts(&values)))
}

/// Keys given to a preset that has none would be taken for protection.
fn refuse_keys_of_others(section: &Section<'_>, preset: Preset) {
    let (key, mend) = match preset {
        Preset::Path | Preset::Graph => ("keys", "leave them out; the path is the secret here"),
        Preset::TagMango => ("keys", "leave them out; TagMango signs nothing, and a header's content is its value"),
        Preset::Basic => ("keys", "call it password here"),
        Preset::Header => ("keys", "call it value here"),
        _ => return,
    };
    if section.has(key) {
        section.refuse(key, format!("the preset {preset} has no keys: {mend}"));
    }
}

fn path_of(
    section: &Section<'_>,
    name: &str,
    given: Option<Zeroizing<String>>,
    scheme: &Scheme,
) -> Option<Zeroizing<String>> {
    match given {
        // People write it as the sender sees it, too.
        Some(path) => Some(Zeroizing::new(path.trim().strip_prefix("/in/").unwrap_or(path.trim()).to_owned())),
        // It was given, and is no text, or names a secret that is not there; that has been told.
        None if section.has("path") => None,
        None if scheme.is_path_secret() => {
            section.refuse("path", format!("is missing; {HOW_TO_MAKE_A_PATH}"));
            None
        }
        None => match receiver::SourcePath::new(name.trim()) {
            Ok(_) => Some(Zeroizing::new(name.trim().to_owned())),
            Err(_) => {
                section
                    .refuse("path", "is missing; the name cannot stand in for it, give path = \"…\" of a-z, 0-9 and -");
                None
            }
        },
    }
}

/// One secret or several that must be there.
fn required(section: &Section<'_>, key: &'static str, mend: &str) -> Option<Vec<Zeroizing<String>>> {
    if !section.has(key) {
        section.refuse(key, format!("is missing; {mend}"));
    }
    section.secrets(key)
}

fn key_mend(preset: Preset) -> &'static str {
    match preset {
        Preset::StandardWebhooks => "give the sender's signing secret: keys = [\"env:NAME\"], a whsec_… or whpk_…",
        Preset::Svix => "give the endpoint's signing secret: keys = [\"env:NAME\"], a whsec_…",
        Preset::Stripe => "give the endpoint's signing secret: keys = [\"env:NAME\"], the whole whsec_…",
        Preset::GitHub => "give the secret of the webhook's form: keys = [\"env:NAME\"]",
        Preset::Shopify => "give the app's client secret: keys = [\"env:NAME\"]",
        Preset::Zoom => "give the app's secret token: keys = [\"env:NAME\"]",
        Preset::Slack => "give the app's signing secret: keys = [\"env:NAME\"]",
        Preset::Calendly => "give the subscription's signing key: keys = [\"env:NAME\"]",
        Preset::Meta => "give the app secret: keys = [\"env:NAME\"]",
        Preset::Bearer => "give the token the sender sends: keys = [\"env:NAME\"]",
        _ => "give the secret it signs with: keys = [\"env:NAME\"]",
    }
}

fn texts(secrets: &[Zeroizing<String>]) -> impl Iterator<Item = &str> {
    secrets.iter().map(|secret| secret.as_str())
}

/// Notes what the receiver refused, at the key it is about.
fn refuse(section: &Section<'_>, error: &SourceError) {
    match error {
        SourceError::NameLength(_) | SourceError::NameCharacter => section.refuse("name", error),
        SourceError::Key { .. } | SourceError::KeyCount(_) => {
            let key = ["keys", "value", "password"].into_iter().find(|key| section.has(key));
            section.refuse(key.unwrap_or("keys"), error);
        }
        SourceError::Field { field, problem } => section.refuse(field, problem),
    }
}
