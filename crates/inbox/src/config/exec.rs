//! The settings of an `exec` handler.

use std::collections::BTreeMap;

use handlers::exec::{ExecSettings, Stdin};

use super::section::Section;

const GIBIBYTE: u64 = 1024 * 1024 * 1024;
/// Enough for an interpreter and its libraries.
const MEMORY_BYTES_DEFAULT: u64 = GIBIBYTE;
/// With less not even a shell starts.
const MEMORY_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Where a command runs that needs no place of its own.
const DIRECTORY_DEFAULT: &str = "/";
/// Set for each message.
const OUR_NAMES: &str = "FANFARE_";

/// The settings, unless something in them is wrong.
pub(super) fn read(section: &Section<'_>) -> Option<ExecSettings> {
    let command = command(section);
    let directory = directory(section);
    let env = env(section);
    let stdin = if section.has("stdin") { section.parse("stdin") } else { Some(Stdin::default()) };
    let memory_bytes_max = match section.has("memory-max") {
        true => section.bytes("memory-max", MEMORY_BYTES_MIN..=1024 * GIBIBYTE),
        false => Some(MEMORY_BYTES_DEFAULT),
    };
    let keep_output = if section.has("keep-output") { section.switch("keep-output") } else { Some(false) };
    Some(ExecSettings {
        command: command?,
        directory: directory?.into(),
        env: env?,
        stdin: stdin?,
        memory_bytes_max: memory_bytes_max?,
        keep_output: keep_output?,
    })
}

fn command(section: &Section<'_>) -> Option<Vec<String>> {
    const MEND: &str =
        "write the program and its arguments as a list, such as [\"/usr/local/bin/notify\", \"--quiet\"]";
    if !section.has("command") {
        section.refuse("command", format!("is missing; {MEND}"));
    }
    let words = section.texts("command")?;
    let name = words.first().copied().unwrap_or_default();
    let refuse = |what: &str| {
        section.refuse("command", what);
        None
    };
    if name.is_empty() {
        return refuse(MEND);
    }
    // A list of one with spaces in it is a command line that nobody would read.
    if words.len() == 1 && name.contains(char::is_whitespace) {
        return refuse(
            "is one word with spaces; write [\"sh\", \"-c\", \"…\"] where you want a shell, or a list of words",
        );
    }
    if name.contains('/') && !name.starts_with('/') {
        return refuse("begins with a path that depends on where it runs; write the whole path, from /");
    }
    if name.starts_with('-') || words.iter().any(|word| word.contains('\0')) {
        return refuse(MEND);
    }
    Some(words.into_iter().map(str::to_owned).collect())
}

fn directory<'t>(section: &Section<'t>) -> Option<&'t str> {
    if !section.has("directory") {
        return Some(DIRECTORY_DEFAULT);
    }
    let directory = section.text("directory")?;
    if !directory.starts_with('/') {
        section.refuse("directory", "write the whole path, from /");
        return None;
    }
    Some(directory)
}

fn env(section: &Section<'_>) -> Option<BTreeMap<String, zeroize::Zeroizing<String>>> {
    if !section.has("env") {
        return Some(BTreeMap::new());
    }
    let env = section.named_secrets("env")?;
    for (name, value) in &env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            section.refuse("env", format!("{name:?} cannot be in an environment; use letters, digits and _"));
            return None;
        }
        if name.starts_with(OUR_NAMES) {
            section.refuse("env", format!("{name} is set for each message; choose a name without {OUR_NAMES}"));
            return None;
        }
    }
    Some(env)
}
