//! A mail server of this machine: takes mails and keeps them, and misbehaves where it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does at a step, instead of what is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Answers this line.
    Answer(&'static str),
    /// Says nothing, for ever.
    Hang,
    /// Closes the connection.
    Close,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: String,
    pub(crate) was_protected: bool,
    /// What followed AUTH PLAIN.
    pub(crate) sign_in: String,
    /// Which connection it came over, from 1.
    pub(crate) connection: usize,
}

#[derive(Default)]
struct State {
    /// By step: `greeting`, `content`, or the command's verb. Used up one by one.
    script: HashMap<&'static str, Vec<Act>>,
    taken: Vec<Taken>,
    connections: usize,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    /// The certificate it shows, in PEM.
    pub(crate) certificate: String,
    state: Arc<Mutex<State>>,
}

/// How a server speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Plain,
    StartTls,
    Tls,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Server {
    pub(crate) async fn start(speaks: Speaks) -> Server {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            certificate: pem(certificate.der()),
            state: Arc::default(),
        };
        let state = server.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (state.clone(), tls.clone());
                tokio::spawn(async move {
                    let mut stream: Box<dyn Stream> = Box::new(stream);
                    if speaks == Speaks::Tls {
                        let Ok(protected) = tls.accept(stream).await else { return };
                        stream = Box::new(protected);
                    }
                    Talk::new(stream, speaks, state).run(tls).await;
                });
            }
        });
        server
    }

    /// Next time this step comes, the server does this.
    pub(crate) fn at(&self, step: &'static str, act: Act) {
        self.state.lock().unwrap().script.entry(step).or_default().push(act);
    }

    /// The mails taken so far.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().taken.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

struct Talk {
    stream: BufReader<Box<dyn Stream>>,
    speaks: Speaks,
    state: Arc<Mutex<State>>,
    mail: Taken,
}

impl Talk {
    fn new(stream: Box<dyn Stream>, speaks: Speaks, state: Arc<Mutex<State>>) -> Talk {
        let connection = {
            let mut state = state.lock().unwrap();
            state.connections += 1;
            state.connections
        };
        let mail = Taken {
            from: String::new(),
            to: Vec::new(),
            data: String::new(),
            was_protected: speaks == Speaks::Tls,
            sign_in: String::new(),
            connection,
        };
        Talk { stream: BufReader::new(stream), speaks, state, mail }
    }

    /// `None` where the connection is over.
    async fn run(mut self, tls: TlsAcceptor) -> Option<()> {
        self.answer("greeting", "220 test").await?;
        loop {
            let line = self.line().await?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.answer("EHLO", self.extensions()).await?,
                "STARTTLS" if self.answer("STARTTLS", "220 go").await? => {
                    let protected = tls.accept(self.stream.into_inner()).await.ok()?;
                    self.stream = BufReader::new(Box::new(protected));
                    self.mail.was_protected = true;
                    continue;
                }
                "STARTTLS" => continue,
                "AUTH" => {
                    self.mail.sign_in = line.rsplit(' ').next().unwrap_or_default().to_owned();
                    self.answer("AUTH", "235 welcome").await?
                }
                "MAIL" => {
                    self.mail.from = path(&line);
                    self.mail.to.clear();
                    self.answer("MAIL", "250 yes").await?
                }
                "RCPT" if self.answer("RCPT", "250 yes").await? => {
                    self.mail.to.push(path(&line));
                    true
                }
                "RCPT" => continue,
                "DATA" if self.answer("DATA", "354 go on").await? => self.content().await?,
                "DATA" => continue,
                "NOOP" => self.answer("NOOP", "250 yes").await?,
                "QUIT" => return None,
                _ => self.answer("other", "500 what").await?,
            };
        }
    }

    fn extensions(&self) -> &'static str {
        match (self.speaks, self.mail.was_protected) {
            (Speaks::StartTls, false) => "250-test\r\n250-8BITMIME\r\n250 STARTTLS",
            _ => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN",
        }
    }

    async fn content(&mut self) -> Option<bool> {
        self.mail.data.clear();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            self.mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
            self.mail.data.push_str("\r\n");
        }
        let act = self.next("content");
        if act.is_none() {
            // Kept before the answer, as servers do: whoever hears the answer may look.
            self.state.lock().unwrap().taken.push(self.mail.clone());
        }
        self.act(act, "250 taken").await
    }

    fn next(&self, step: &str) -> Option<Act> {
        let mut state = self.state.lock().unwrap();
        state.script.get_mut(step).filter(|acts| !acts.is_empty()).map(|acts| acts.remove(0))
    }

    /// Whether the step went well.
    async fn answer(&mut self, step: &str, usual: &str) -> Option<bool> {
        let act = self.next(step);
        self.act(act, usual).await
    }

    async fn act(&mut self, act: Option<Act>, usual: &str) -> Option<bool> {
        let said = match act {
            None => usual,
            Some(Act::Answer(said)) => said,
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Close) => return None,
        };
        self.stream.write_all(format!("{said}\r\n").as_bytes()).await.ok()?;
        self.stream.flush().await.ok()?;
        Some(act.is_none())
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).await.ok()?;
        (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn path(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path.to_owned()).unwrap_or_default()
}
