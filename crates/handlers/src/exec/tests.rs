//! The `exec` handler with real children.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::*;
use crate::http::tests::world::job_of;

const PATIENCE: Duration = Duration::from_secs(20);

fn settings(script: &str, directory: &Path) -> ExecSettings {
    ExecSettings {
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        directory: directory.to_owned(),
        env: BTreeMap::new(),
        stdin: Stdin::Event,
        memory_bytes_max: 256 * 1024 * 1024,
        keep_output: true,
    }
}

fn job() -> Job {
    job_of(br#"{"name":"Ana"}"#, "", Some("msg_1"))
}

async fn run(settings: ExecSettings) -> Result<String, RunFailure> {
    let exec = Exec::new(settings);
    timeout(PATIENCE, exec.handle(&job())).await.expect("it hangs")
}

async fn sh(script: &str) -> Result<String, RunFailure> {
    run(settings(script, Path::new("/"))).await
}

/// Whether the process of this id is gone, or only its status is left to be collected.
async fn ends(pid: &str) {
    let status = format!("/proc/{pid}/stat");
    let gone = async {
        while fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("process {pid} goes on"));
}

/// The content of a file that a child writes, as soon as it is there.
async fn written(path: &Path) -> String {
    let there = async {
        loop {
            match fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, there).await.expect("the child writes nothing")
}

#[tokio::test]
async fn the_command_reads_the_event_and_its_first_line_is_the_note() {
    let note = sh("read -r line; case $line in '{'*webinar.created.recurring*'}') echo got it; echo more;; esac").await;
    assert_eq!(note.unwrap(), "got it");
    let body = ExecSettings { stdin: Stdin::Body, ..settings("cat", Path::new("/")) };
    assert_eq!(run(body).await.unwrap(), r#"{"name":"Ana"}"#);
    let nothing = ExecSettings { stdin: Stdin::Nothing, ..settings("wc -c", Path::new("/")) };
    assert_eq!(run(nothing).await.unwrap(), "0");
    let silent = ExecSettings { keep_output: false, ..settings("echo ana@x.org", Path::new("/")) };
    assert_eq!(run(silent).await.unwrap(), "sh ended well");
}

#[tokio::test]
async fn arguments_are_nobodys_commands() {
    let mut printf = settings("", Path::new("/"));
    printf.command = ["printf", "%s", "$(id) `id` ; exit 1 \"' *"].map(str::to_owned).to_vec();
    assert_eq!(run(printf).await.unwrap(), "$(id) `id` ; exit 1 \"' *");
}

#[tokio::test]
async fn the_environment_holds_what_is_listed_and_nothing_of_the_servers() {
    let directory = tempfile::tempdir().unwrap();
    let script = "env | cut -d= -f1 | sort | tr '\\n' ' '";
    let first = |text: &str| settings(text, directory.path());
    let names = run(first(script)).await.unwrap();
    let mut second =
        first("echo $TOKEN $HOME $PWD $FANFARE_EVENT $FANFARE_MESSAGE $FANFARE_IDEMPOTENCY_KEY $FANFARE_ATTEMPT");
    second.env.insert("TOKEN".to_owned(), "s3cret".to_owned().into());
    second.env.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned().into());
    let values = run(second).await.unwrap();

    let ours = "FANFARE_ATTEMPT FANFARE_EVENT FANFARE_IDEMPOTENCY_KEY FANFARE_MESSAGE HOME LANG";
    let strange =
        names.split(' ').filter(|name| !ours.contains(name) && !["PATH", "PWD", "OLDPWD", "_", "SHLVL"].contains(name));
    assert_eq!(strange.collect::<Vec<_>>(), Vec::<&str>::new(), "{names}");
    assert!(names.starts_with(ours), "{names}");
    let (home, job) = (directory.path().display(), job());
    let (id, key) = (job.message.id, job.idempotency_key());
    assert_eq!(values, format!("s3cret {home} {home} webinar.created.recurring {id} {key} 1"));
}

#[tokio::test]
async fn each_exit_has_its_consequence() {
    let retry = RunFailureKind::Retry { after: None };
    for (script, kind, word) in [
        ("exit 1", retry, "ended with 1"),
        ("exit 75", retry, "again later"),
        ("exit 65", RunFailureKind::Hopeless, "cannot use this event"),
        ("exit 69", TARGET, "not available"),
        ("exit 78", TARGET, "settings are wrong"),
        ("kill -9 $$", retry, "killed by SIGKILL"),
        ("kill -TERM $$", retry, "killed by SIGTERM"),
        ("echo one >&2; printf 'two \\033[31m\\tthree' >&2; exit 3", retry, "it said: two [31m three"),
    ] {
        let failure = sh(script).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{script}: {}", failure.reason);
        assert!(failure.reason.contains(word), "{script}: {}", failure.reason);
    }
}

#[tokio::test]
async fn errors_are_kept_only_on_wish() {
    let settings = ExecSettings { keep_output: false, ..settings("echo ana@x.org >&2; exit 1", Path::new("/")) };
    let reason = run(settings).await.unwrap_err().reason;
    assert!(!reason.contains("ana@x.org") && reason.contains("keep-output"), "{reason}");
}

#[tokio::test]
async fn a_command_that_is_not_there_is_told_and_keeps_the_messages() {
    let with = |name: &str| ExecSettings { command: vec![name.to_owned()], ..settings("", Path::new("/")) };
    let failure = run(with("no-such-command-here")).await.unwrap_err();
    assert_eq!(failure.kind, TARGET);
    assert!(failure.reason.contains("was not found"), "{}", failure.reason);
    assert!(with("/no/such/command").look().is_err_and(|error| error.contains("check its path")));
    let nowhere = ExecSettings { directory: "/no/such/place".into(), ..with("true") };
    assert!(nowhere.look().is_err_and(|error| error.contains("create it")));
    assert_eq!(run(with("/etc/passwd")).await.unwrap_err().kind, TARGET);
}

#[tokio::test]
async fn a_command_that_does_not_read_is_no_failure() {
    let large = vec![b'x'; 4 * 1024 * 1024];
    for script in ["exec 0<&-; echo done", "echo done", "head -c 10 >/dev/null; echo done"] {
        let exec = Exec::new(ExecSettings { stdin: Stdin::Body, ..settings(script, Path::new("/")) });
        let ended = timeout(PATIENCE, exec.handle(&job_of(&large, "", None))).await.expect("it hangs");
        assert_eq!(ended.unwrap(), "done", "{script}");
    }
}

#[tokio::test]
async fn much_output_does_not_hold_it_up_and_endless_output_ends_it() {
    let note = sh("echo first; head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2").await.unwrap();
    assert_eq!(note, "first");
    for script in ["yes", "yes >&2", "yes & yes >&2"] {
        let failure = sh(script).await.unwrap_err();
        assert!(failure.reason.contains("wrote more than 16 MiB"), "{}", failure.reason);
    }
}

#[tokio::test]
async fn memory_has_a_limit() {
    let hog = "dd if=/dev/zero of=/dev/null bs=1G count=1 2>&1 && echo enough";
    let ended = sh(hog).await;
    assert!(ended.is_err(), "{ended:?}");
    let roomy = ExecSettings { memory_bytes_max: 2 << 30, ..settings(&format!("{hog} | tail -1"), Path::new("/")) };
    assert_eq!(run(roomy).await.map(|_| ()), Ok(()));
}

#[tokio::test]
async fn what_is_dropped_dies_with_everything_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > inner; echo $$ > outer; trap '' TERM HUP; while :; do sleep 1000; done";
    let exec = Exec::new(settings(script, directory.path()));
    let job = job();

    let mut handling = exec.handle(&job);
    let pids =
        async { (written(&directory.path().join("inner")).await, written(&directory.path().join("outer")).await) };
    let (inner, outer) = tokio::select! {
        ended = &mut handling => panic!("{ended:?}"),
        pids = pids => pids,
    };
    assert!(fs::metadata(format!("/proc/{inner}")).is_ok());
    // As a run worker does whose patience is at an end.
    drop(handling);

    ends(&inner).await;
    ends(&outer).await;
}

#[tokio::test]
async fn children_that_are_left_behind_neither_hold_it_up_nor_live_on() {
    let directory = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let note = run(settings("sleep 1000 & echo $! > inner; echo done", directory.path())).await.unwrap();
    assert_eq!(note, "done");
    ends(&written(&directory.path().join("inner")).await).await;
    assert!(started.elapsed() < PATIENCE);
}

#[tokio::test]
async fn one_who_leaves_the_group_cannot_hold_the_pipes_against_us() {
    let directory = tempfile::tempdir().unwrap();
    let script = "setsid sh -c 'echo $$ > far; exec sleep 1000' & while ! [ -s far ]; do sleep 0.01; done; echo done";
    let note = run(settings(script, directory.path())).await.unwrap();
    assert_eq!(note, "done");
    let far: i32 = written(&directory.path().join("far")).await.parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(far), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn what_is_foreseen_shows_command_and_input_and_runs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings("touch here", directory.path());
    settings.env.insert("TOKEN".to_owned(), "s3cret".to_owned().into());
    let shown = Exec::new(settings).foresee(&job()).await.unwrap();
    assert!(shown.contains("\"touch here\"") && shown.contains("webinar.created.recurring"), "{shown}");
    assert!(!shown.contains("s3cret") && !directory.path().join("here").exists());
}
