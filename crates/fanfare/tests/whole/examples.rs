//! The settings under `examples`, as they stand, by the real binary: checked, tried, and served against a database, a mail
//! server and a receiver of this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::receiver::Receiver;
use crate::server::{LOOK_AGAIN_AFTER, PATIENCE, Server};
use crate::{client, skip};

const SECRET_PATH: &str = "5e0f6ad1c9b847239f3e2d1c0b5a7788";
const N8N_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const BODY: &str = r#"{"name":"Asha Rao","email":"asha@example.com","phone":919876543210,"timezone":"+02:00","callList":[{"webinar":"Clinic","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://meet.example/a","webinarFromTime":"2037-03-15T10:00:00.000Z","webinarToTime":"2037-03-15T11:00:00.000Z","webinarFromTimeInCreatorTimezone":"2037-03-15T15:30:00.000Z","webinarToTimeInCreatorTimezone":"2037-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}],"mangoes":"Gold"}"#;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).canonicalize().unwrap()
}

/// Runs a command that looks at an example; what it printed.
async fn look(arguments: &[&str], file: &Path, rest: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.args(arguments).arg(file).args(rest).env("TAGMANGO_PATH", SECRET_PATH).env("N8N_SECRET", N8N_SECRET);
    command.env("CRM_DATABASE", "postgres://crm:secret@127.0.0.1:9/crm").env("SMTP_SERVER", "smtp://127.0.0.1:9");
    command.env("N8N_URL", "https://n8n.example.com/webhook/1").env("WHATSAPP_TOKEN", "token-1");
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn every_example_has_no_mistake_and_says_what_it_would_do() {
    let directory = TempDir::new().unwrap();
    let payload = directory.path().join("payload.json");
    std::fs::write(&payload, BODY).unwrap();
    for (name, texts) in [
        ("crm-postgres.toml", ["asha@example.com", "Sunday, 15 March 2037, 12:00"]),
        ("whatsapp-http.toml", ["graph.facebook.com", "919876543210"]),
        ("forward-n8n.toml", ["n8n.example.com", "webhook-id"]),
    ] {
        let file = example(name);
        let checked = look(&["inbox", "check"], &file, &[]).await;
        assert!(checked.contains("tagmango") && !checked.contains(SECRET_PATH), "{name}: {checked}");
        let tried = look(&["inbox", "try"], &file, &[payload.to_str().unwrap()]).await;
        assert!(texts.iter().all(|text| tried.contains(text)), "{name}: {tried}");
        assert!(!tried.contains(N8N_SECRET) && !tried.contains("token-1"), "{name} keeps secrets: {tried}");
    }
}

#[tokio::test]
async fn a_target_of_this_machine_is_tried_where_the_file_opens_it_and_a_missing_command_is_told() {
    let directory = TempDir::new().unwrap();
    let (file, payload) = (directory.path().join("inbox.toml"), directory.path().join("payload.json"));
    std::fs::write(&payload, BODY).unwrap();
    let rest = "[[source]]\nname = \"tagmango\"\npreset = \"tagmango\"\npath = \"env:TAGMANGO_PATH\"\n\
                [[handler]]\nname = \"near\"\ntype = \"forward\"\nurl = \"http://127.0.0.1:18999/hook\"\n\
                [[handler]]\nname = \"gone\"\ntype = \"exec\"\ncommand = [\"/no/such/command\"]\n";
    for (head, told) in [("", "would fail"), ("allow-target = [\"127.0.0.0/8\"]\n", "POST 127.0.0.1:18999")] {
        std::fs::write(&file, format!("{head}{rest}")).unwrap();
        let tried = look(&["inbox", "try"], &file, &[payload.to_str().unwrap()]).await;
        assert!(tried.contains(told) && tried.contains("/no/such/command"), "{tried}");
    }
    let mut check = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    let checked = check.args(["inbox", "check"]).arg(&file).env("TAGMANGO_PATH", SECRET_PATH).output().await.unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.contains("/no/such/command is not there"), "{said}");
}

/// Starts the example and sends one webhook, twice; both must be acknowledged.
async fn serve(name: &str, directory: &TempDir, environment: &[(&'static str, String)]) -> Server {
    let (database, file) = (directory.path().join("inbox.db"), example(name));
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--only", "receiver"];
    arguments.extend(["--allow-target", "127.0.0.0/8", "--config", file.to_str().unwrap()]);
    let server = Server::start_with_settings(&database, &arguments, environment).await.expect("it starts");
    for _ in 0..2 {
        let path = format!("/in/{SECRET_PATH}");
        let (status, _) = client::post(server.address, &path, &[], BODY.to_owned()).await.expect("an answer");
        assert_eq!(status, 200);
    }
    server
}

async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(LOOK_AGAIN_AFTER).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forward_to_n8n_arrives_once_however_often_it_came() {
    let (directory, receiver) = (TempDir::new().unwrap(), Receiver::start().await);
    let environment = [
        ("TAGMANGO_PATH", SECRET_PATH.to_owned()),
        ("N8N_URL", format!("http://{}/webhook/1", receiver.address)),
        ("N8N_SECRET", N8N_SECRET.to_owned()),
    ];
    let server = serve("forward-n8n.toml", &directory, &environment).await;
    wait_until("the forward", async || !receiver.copies().is_empty()).await;
    server.stop().await;
    let copies: usize = receiver.copies().values().flat_map(|ids| ids.values()).sum();
    assert_eq!(copies, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crm_is_kept_in_postgresql_and_the_invitation_is_mailed_once() {
    let Some(database) = NewDatabase::make("example_crm").await else { return };
    let (directory, mails) = (TempDir::new().unwrap(), MailServer::start().await);
    let environment = [
        ("TAGMANGO_PATH", SECRET_PATH.to_owned()),
        ("CRM_DATABASE", database.url.clone()),
        ("SMTP_SERVER", format!("smtp://127.0.0.1:{}", mails.port)),
    ];
    let server = serve("crm-postgres.toml", &directory, &environment).await;
    wait_until("the mail", async || mails.count() > 0).await;
    let query = "select email || ' ' || begins_at::date || ' ' || a.status from webinar_people \
                 join webinar_attendance a on true join webinar_sessions s on true";
    wait_until("the tables", async || database.ask(query).await.contains("asha@example.com 2037-03-15 invited")).await;
    server.stop().await;
    assert_eq!(mails.count(), 1);
    let mail = mails.first();
    assert!(mail.contains("method=REQUEST") && mail.contains("asha@example.com"), "{mail}");
}

/// A database of its own on the tests' server.
struct NewDatabase {
    url: String,
}

impl NewDatabase {
    async fn make(name: &str) -> Option<NewDatabase> {
        let Ok(server) = std::env::var("TEST_DATABASE_URL") else {
            skip("this needs PostgreSQL; run it under scripts/with-postgres");
            return None;
        };
        let maintenance = NewDatabase { url: server.clone() };
        maintenance.ask(&format!("drop database if exists {name}")).await;
        maintenance.ask(&format!("create database {name}")).await;
        let (front, _) = server.rsplit_once('/').unwrap();
        Some(NewDatabase { url: format!("{front}/{name}") })
    }

    /// What the query gives, as text; empty where it fails.
    async fn ask(&self, query: &str) -> String {
        let output = Command::new("psql").args(["-At", "-c", query, &self.url]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// As much of a mail server as one mail needs.
struct MailServer {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    async fn start() -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = MailServer { port: listener.local_addr().unwrap().port(), mails: Arc::default() };
        let mails = server.mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, mails.clone()));
            }
        });
        server
    }

    fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    fn first(&self) -> String {
        self.mails.lock().unwrap()[0].clone()
    }
}

async fn converse(stream: TcpStream, mails: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 mail.example ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default().to_uppercase().as_str() {
            "DATA" => {
                writing.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail.push_str(&line);
                    mail.push('\n');
                }
                mails.lock().unwrap().push(mail);
                b"250 taken\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        writing.write_all(answer).await?;
    }
    Ok(())
}
