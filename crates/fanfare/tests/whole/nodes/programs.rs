//! The programs of PostgreSQL and PgBouncer, which refuse to run as root.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::{Uid, User};
use tokio::process::Command;

use crate::skip;

/// Whom Debian's packages make to own servers.
const OWNER: &str = "postgres";

/// The directory of PostgreSQL's programs; `None`, loudly, where there is none.
pub(crate) fn of_postgres() -> Option<PathBuf> {
    let asked = std::process::Command::new("pg_config").arg("--bindir").output().ok();
    let told = asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = installed.map(|version| version.path().join("bin")).collect();
    installed.sort();
    let found = told.into_iter().chain(installed.into_iter().rev()).find(|programs| programs.join("postgres").exists());
    if found.is_none() {
        skip("PostgreSQL's server is missing; install the package postgresql");
    }
    found
}

/// Where PgBouncer is; `None`, loudly, where it is not.
pub(crate) fn pgbouncer() -> Option<PathBuf> {
    let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    let found = places.iter().map(PathBuf::from).find(|place| place.exists());
    if found.is_none() {
        skip("PgBouncer is missing; install the package pgbouncer");
    }
    found
}

/// A command run by somebody who may own a server.
pub(crate) fn as_owner(program: &Path) -> Command {
    Command::from(as_owner_now(program))
}

/// The same for where nothing can be waited for.
pub(crate) fn as_owner_now(program: &Path) -> std::process::Command {
    let mut command = match Uid::effective().is_root() {
        true => {
            let mut command = std::process::Command::new("runuser");
            command.args(["-u", OWNER, "--"]).arg(program);
            command
        }
        false => std::process::Command::new(program),
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Runs it to its end, which must be a good one.
pub(crate) async fn run<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) {
    let output = as_owner(program).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
}

/// Gives a file or a directory to the owner.
pub(crate) fn give_to_owner(path: &Path) {
    if Uid::effective().is_root() {
        let owner = User::from_name(OWNER).unwrap().expect("the package postgresql makes the user postgres");
        std::os::unix::fs::chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    }
}
