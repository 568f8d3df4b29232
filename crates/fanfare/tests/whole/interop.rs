//! Other languages: their official Standard Webhooks libraries accept what we send, and the registration works from
//! curl, JavaScript and Python as TagMango's page shows it. `scripts/test` installs what this needs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::server::{self, PATIENCE, Server};
use crate::skip;

/// Where `scripts/test` has put the libraries; without it the test says that it did nothing.
fn libraries() -> Option<PathBuf> {
    let found = std::env::var_os("FANFARE_TEST_INTEROP").map(PathBuf::from);
    if found.is_none() {
        skip("Node and Python receivers need their libraries; run scripts/test, which installs them");
    }
    found
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop").join(name)
}

/// A receiver in another language.
struct Foreign {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Foreign {
    fn start(program: &Path, file: &str, libraries: &Path) -> Foreign {
        let mut process = Command::new(program)
            .arg(script(file))
            .env("FANFARE_TEST_INTEROP", libraries)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Foreign { process, lines }
    }

    async fn next_line(&mut self) -> String {
        timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap().expect("the receiver lives")
    }

    async fn learn_secret(&mut self, secret: &str) {
        let input = self.process.stdin.as_mut().unwrap();
        input.write_all(format!("{secret}\n").as_bytes()).await.unwrap();
    }
}

/// Runs a program to its end; what it printed, as JSON.
async fn printed(program: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(program).args(arguments).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

async fn curl(address: &str, key: &str, path: &str, kind: &str, body: &str) -> Value {
    let (url, key, kind) = (format!("{address}{path}"), format!("x-api-key: {key}"), format!("content-type: {kind}"));
    printed(Path::new("curl"), &["-s", &url, "-H", &key, "-H", &kind, "--data-binary", body]).await
}

#[tokio::test]
async fn official_libraries_of_node_and_python_accept_a_series_saved_with_curl() {
    let Some(libraries) = libraries() else { return };
    let python = libraries.join("python/bin/python");
    for (program, file) in [(Path::new("node"), "receiver.mjs"), (python.as_path(), "receiver.py")] {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("interop.db");
        let key = server::create_account(&database).await;
        let server = Server::start(&database, None).await.unwrap();
        let address = format!("http://{}", server.address);
        let mut receiver = Foreign::start(program, file, &libraries);
        let port = receiver.next_line().await;

        let mango = curl(&address, &key, "/api/v1/mangoes", "application/json", r#"{"name":"Gold, \"1\""}"#).await;
        let id = mango["id"].as_str().unwrap();
        let people = "name,email,phone,timezone\n\"José 🎺 \"\"Joe\"\"\",jose@example.com,+91 98765 43210,Asia/Kolkata\n\
                      شيماء,shaimaa@example.com,,+02:00\n";
        curl(&address, &key, &format!("/api/v1/mangoes/{id}/members"), "text/csv", people).await;
        let registration =
            json!({"hookUrl": format!("http://127.0.0.1:{port}/"), "event": "webinar.created.recurring"});
        let route = "/api/v1/integration/webhook/webhook";
        let registered = curl(&address, &key, route, "application/json", &registration.to_string()).await;
        receiver.learn_secret(registered["result"]["signingSecret"].as_str().unwrap()).await;
        let series = json!({
            "title": "Clinic \u{1f3ba}", "link": "https://meet.example.com/abc", "timezone": "Asia/Kolkata",
            "start": "2027-03-05T15:30", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=8", "mangoes": [id],
        });
        curl(&address, &key, "/api/v1/webinars", "application/json", &series.to_string()).await;

        let mut names = Vec::new();
        for _ in 0..2 {
            let report: Value = serde_json::from_str(&receiver.next_line().await).unwrap();
            assert_eq!(report["verified"], true, "{file}: {report}");
            names.push(report["name"].as_str().unwrap().to_owned());
        }
        names.sort();
        assert_eq!(names, ["José 🎺 \"Joe\"", "شيماء"], "{file}");
        server.stop().await;
    }
}

#[tokio::test]
async fn the_registration_works_from_curl_node_and_python_as_the_page_shows_it() {
    let Some(libraries) = libraries() else { return };
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("interop.db");
    let key = server::create_account(&database).await;
    let server = Server::start(&database, None).await.unwrap();
    let address = format!("http://{}", server.address);
    let python = libraries.join("python/bin/python");
    let callers = [("sh", "register.sh"), ("node", "register.mjs"), (python.to_str().unwrap(), "register.py")];
    for (program, file) in callers {
        let (file, hook) = (script(file), format!("http://127.0.0.1:9999/{file}"));
        let arguments = [file.to_str().unwrap(), &address, &key, &hook];
        let first = printed(Path::new(program), &arguments).await;
        assert_eq!((&first["success"], &first["result"]["hookUrl"]), (&json!(true), &json!(hook)), "{first}");
        assert!(first["result"]["signingSecret"].as_str().unwrap().starts_with("whsec_"), "{first}");

        let again = printed(Path::new(program), &arguments).await;
        assert_eq!(again["result"]["id"], first["result"]["id"], "the same subscription");
        assert_eq!(again["result"].get("signingSecret"), None, "shown once");

        let refused = printed(Path::new(program), &[arguments[0], &address, "wrong-key", &hook]).await;
        assert_eq!((&refused["code"], &refused["success"]), (&json!(401), &json!(false)), "{refused}");
    }
    server.stop().await;
}
