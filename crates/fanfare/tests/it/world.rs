//! One temporary directory with a database, the binary run in it, and a server where a test needs one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::secrecy;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_fanfare");

pub(crate) struct World {
    directory: TempDir,
    /// Beside what the binary inherits.
    environment: Vec<(&'static str, String)>,
}

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> World {
        World { directory: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// The same, where everything is run with this in the environment.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> World {
        self.environment.push((name, value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    /// Runs the binary to its end, in the directory, without settings from the environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(BINARY, arguments, |command| command)
    }

    pub(crate) fn run_with(
        &self,
        program: impl AsRef<Path>,
        arguments: &[&str],
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Ran {
        let mut command = self.command(program.as_ref());
        change(command.args(arguments).stdin(Stdio::null())).output().unwrap().into()
    }

    /// Makes an account; its id and its key.
    pub(crate) fn create_account(&self) -> (String, String) {
        let ran = self.run(&["account", "create", "--name", "Acme", "--timezone", "Asia/Kolkata", "--json"]);
        let json = ran.json();
        let text = |key: &str| json[key].as_str().unwrap_or_else(|| panic!("{ran:?}")).to_owned();
        (text("account"), text("apiKey"))
    }

    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    /// Starts a server on a free port and waits until it listens.
    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Serving {
        self.start(&[&["serve"], arguments].concat(), "dashboard")
    }

    /// Starts the binary and waits until it says these words; the last URL it told until then is its own.
    pub(crate) fn start(&self, arguments: &[&str], words: &str) -> Serving {
        let mut command = self.command(Path::new(BINARY));
        // From the environment, so that an option may say otherwise.
        let command = command.env("FANFARE_LISTEN", "127.0.0.1:0").args(arguments);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let mut serving = Serving { process, stderr, told: String::new(), address: None };
        serving.read_until(words);
        let last = serving.told.rsplit("http://").next().and_then(|rest| rest.split(['/', '\n']).next());
        serving.address = last.and_then(|address| address.parse().ok());
        serving
    }

    fn command(&self, program: &Path) -> Command {
        let (mut command, directory) = (Command::new(program), self.directory.path());
        command.current_dir(directory).env("NO_COLOR", "1").env("TMPDIR", directory);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FANFARE_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.clone());
        command
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// What it printed, as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It failed with this code and said all of these.
    pub(crate) fn failed_with(&self, code: i32, told: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "errors are no data: {self:?}");
        for words in told {
            assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
        }
    }
}

/// A server that runs; killed when dropped.
pub(crate) struct Serving {
    process: Child,
    stderr: BufReader<ChildStderr>,
    told: String,
    pub(crate) address: Option<SocketAddr>,
}

impl Serving {
    /// Reads what it says until a line has these words.
    pub(crate) fn read_until(&mut self, words: &str) {
        loop {
            let before = self.told.len();
            let read = self.stderr.read_line(&mut self.told).unwrap();
            assert!(read > 0, "it ended without saying {words:?}: {}", self.told);
            if self.told[before..].contains(words) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end; its exit code and all it said.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        self.stderr.read_to_string(&mut self.told).unwrap();
        let status = self.process.wait().unwrap();
        (status.code(), self.told.clone())
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address.unwrap()).unwrap()
    }

    /// One request on a connection of its own: the status and the body.
    pub(crate) fn request(&self, head: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        let mut text = format!("{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        stream.write_all(&[text.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// One call of the API that must succeed; the answer.
    pub(crate) fn call(&self, key: &str, path: &str, body: &Value) -> Value {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        let (status, answer) = self.request(&format!("POST {path}"), &headers, body.to_string().as_bytes());
        assert!((200..300).contains(&status), "{status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Makes a mango by the API; its id.
    pub(crate) fn create_mango(&self, key: &str) -> String {
        self.call(key, "/api/v1/mangoes", &json!({ "name": "Gold" }))["id"].as_str().unwrap().to_owned()
    }

    /// The URL of a path here.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.stderr.read_to_string(&mut self.told);
        if !std::thread::panicking() {
            secrecy::check(&self.told);
        }
    }
}
