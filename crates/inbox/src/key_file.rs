//! The file of the key that seals secrets: beside the database, made at the first start so that nothing has to be set up.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use store::{Chance, SealingKey};
use store_sqlite::sealing_keys;
use zeroize::Zeroizing;

/// The environment variable that may hold the keys instead, for programs that read it.
pub const KEY_VARIABLE: &str = "FANFARE_SECRET_KEY";
/// A few keys of 50 characters each and remarks; a file given by mistake is not read whole.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// A key that nobody else has.
pub fn new_key(chance: &(dyn Chance + 'static)) -> SealingKey {
    SealingKey::from_bytes(chance.bytes())
}

/// A link and what it points to are one database, so its keys stand beside the file itself.
pub fn beside(database: &Path) -> PathBuf {
    let mut name = database.canonicalize().unwrap_or_else(|_| database.to_owned()).into_os_string();
    name.push(".key");
    name.into()
}

/// The keys in a file.
pub fn read(path: &Path) -> anyhow::Result<Vec<SealingKey>> {
    let told = || format!("cannot read the key file {}", path.display());
    let mut text = Zeroizing::new(String::new());
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text)).with_context(told)?;
    parse(&text).with_context(|| format!("key file {}", path.display()))
}

/// Keys separated by commas or line ends; what follows `#` is a remark.
pub fn parse(text: &str) -> anyhow::Result<Vec<SealingKey>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let texts = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|text| !text.is_empty());
    let keys = texts.enumerate().map(|(before, text)| text.parse().with_context(|| format!("key {}", before + 1)));
    let keys: Vec<SealingKey> = keys.collect::<anyhow::Result<_>>()?;
    if keys.is_empty() {
        bail!("holds no key; make one with: fanfare secrets new-key");
    }
    Ok(keys)
}

/// Makes a file with a new key, whole and on disk before it has its name; `false` where another process was faster.
pub fn make(path: &Path, database: &Path, key: &SealingKey) -> anyhow::Result<bool> {
    let sealed_with = sealing_keys(database);
    if !sealed_with.is_empty() {
        bail!(
            "secrets in {} are sealed with key {}, and its file {} is not there; bring it back, or give the key in \
             {KEY_VARIABLE} or by --secret-key-file",
            database.display(),
            sealed_with.join(", "),
            path.display()
        );
    }
    let told = || format!("cannot write {}, the file of the key that seals secrets", path.display());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let text = Zeroizing::new(format!(
        "# Seals the signing secrets in {}. Whoever has both can read them; without this file they are lost.\n{}\n",
        database.display(),
        *key.reveal()
    ));
    // For its owner alone from the first moment on, as such files are made.
    let mut file = tempfile::NamedTempFile::new_in(directory).with_context(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).with_context(told)?;
    match file.persist_noclobber(path) {
        Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        persisted => persisted.map(drop).with_context(told)?,
    }
    File::open(directory).and_then(|directory| directory.sync_all()).with_context(told)?;
    Ok(true)
}
