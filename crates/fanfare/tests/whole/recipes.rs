//! The recipes of docs/recipes, run as they stand: each accepts what is signed, once, also after a restart, and nothing
//! else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use wire::{Signer, SigningSecret, WebhookId};

use crate::client;
use crate::server::PATIENCE;
use crate::skip;

const BODY: &str = r#"{"name":"Asha"}"#;

struct Recipe {
    language: &'static str,
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

/// A recipe that runs.
struct Running {
    address: SocketAddr,
    /// Killed when dropped.
    _process: Child,
}

impl Recipe {
    async fn start(&self, directory: &TempDir, secret: &str) -> Running {
        let mut process = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(directory.path())
            .env("WEBHOOK_SECRET", secret)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("its port");
        Running { address: ([127, 0, 0, 1], port.parse().unwrap()).into(), _process: process }
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes").join(name).canonicalize().unwrap()
}

async fn is_there(program: &str, argument: &str) -> bool {
    let version = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let is_there = version.is_ok_and(|status| status.success());
    if !is_there {
        skip(&format!("the recipe for {program} needs {program}; scripts/test installs it"));
    }
    is_there
}

async fn recipes(directory: &TempDir) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    if is_there("node", "--version").await {
        recipes.push(Recipe { language: "Node", program: "node".into(), arguments: vec![file("receiver.mjs")] });
    }
    if is_there("python3", "--version").await {
        recipes.push(Recipe { language: "Python", program: "python3".into(), arguments: vec![file("receiver.py")] });
    }
    if is_there("go", "version").await {
        let program = directory.path().join("receiver-in-go");
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&program).arg(file("receiver.go"));
        build.env("GOCACHE", directory.path().join("go-cache")).env("GOFLAGS", "").env("GO111MODULE", "off");
        assert!(build.status().await.unwrap().success());
        recipes.push(Recipe { language: "Go", program, arguments: Vec::new() });
    }
    recipes
}

/// What a webhook signed like this is answered.
async fn answer(running: &Running, id: &str, timestamp: i64, signed: &str, sent: &str) -> u16 {
    let signer = Signer::new([SigningSecret::from_random([7; 32])]).unwrap();
    let signature = signer.sign(WebhookId::new(id).unwrap(), timestamp, signed.as_bytes());
    let timestamp = timestamp.to_string();
    // A second key's signature in front, as while secrets are exchanged.
    let signature = format!("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= {signature}");
    let headers =
        [("webhook-id", id), ("webhook-timestamp", timestamp.as_str()), ("webhook-signature", signature.as_str())];
    client::post(running.address, "/", &headers, sent.to_owned()).await.expect("an answer").0
}

#[tokio::test]
async fn the_recipes_accept_what_is_signed_and_fresh_and_nothing_else() {
    let tools = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the recipes look at the real clock")]
    let now = Timestamp::now().as_second();
    let secret = SigningSecret::from_random([7; 32]).reveal();
    for recipe in recipes(&tools).await {
        let (directory, language) = (tempfile::tempdir().unwrap(), recipe.language);
        let running = recipe.start(&directory, &secret).await;
        assert_eq!(answer(&running, "msg_1", now, BODY, BODY).await, 200, "{language}");
        assert_eq!(answer(&running, "msg_1", now, BODY, BODY).await, 200, "{language}: a repetition is a success");
        assert_eq!(answer(&running, "msg_2", now, BODY, r#"{"name": "Asha"}"#).await, 401, "{language}: other bytes");
        assert_eq!(answer(&running, "msg_3", now - 400, BODY, BODY).await, 401, "{language}: old");
        assert_eq!(answer(&running, "msg_4", now + 400, BODY, BODY).await, 401, "{language}: of the future");
        let bare = client::post(running.address, "/", &[("webhook-id", "msg_5")], BODY.to_owned()).await;
        assert_eq!(bare.expect("an answer").0, 401, "{language}: unsigned");
        drop(running);

        let again = recipe.start(&directory, &secret).await;
        assert_eq!(answer(&again, "msg_1", now, BODY, BODY).await, 200, "{language}");
        drop(again);
        assert_eq!(kept(&directory).await, 1, "{language}: kept once, also over a restart");
    }
}

/// How many webhooks a recipe has kept.
async fn kept(directory: &TempDir) -> u32 {
    match std::fs::read_to_string(directory.path().join("webhooks.ndjson")) {
        Ok(text) => u32::try_from(text.lines().count()).unwrap(),
        Err(_) => {
            let database = rusqlite::Connection::open(directory.path().join("webhooks.db")).unwrap();
            database.query_row("select count(*) from webhook", [], |row| row.get(0)).unwrap()
        }
    }
}
