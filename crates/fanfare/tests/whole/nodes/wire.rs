//! PostgreSQL's protocol as far as a proxy reads it: whole messages, the statements of a transaction, its end.

use std::collections::HashMap;

/// Cuts bytes into messages.
pub(crate) struct Messages {
    pending: Vec<u8>,
    /// The first message of a client has no kind.
    is_first_without_kind: bool,
}

/// One message, head and all.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    /// Where its length stands.
    head: usize,
}

impl Messages {
    pub(crate) fn of_client() -> Messages {
        Messages { pending: Vec::new(), is_first_without_kind: true }
    }

    pub(crate) fn of_server() -> Messages {
        Messages { pending: Vec::new(), is_first_without_kind: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next that is there as a whole.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let head = usize::from(!self.is_first_without_kind);
        let length: [u8; 4] = self.pending.get(head..head + 4)?.try_into().unwrap();
        let end = head + u32::from_be_bytes(length) as usize;
        if self.pending.len() < end {
            return None;
        }
        self.is_first_without_kind = false;
        Some(Message { bytes: self.pending.drain(..end).collect(), head })
    }
}

impl Message {
    /// Its kind; zero for the first message of a client.
    pub(crate) fn kind(&self) -> u8 {
        if self.head == 0 { 0 } else { self.bytes[0] }
    }

    /// The text that begins at this text of it, counted from 0.
    pub(crate) fn text(&self, nth: usize) -> String {
        let texts = self.bytes[self.head + 4..].split(|byte| *byte == 0);
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).nth(nth).unwrap_or_default()
    }
}

/// What a client has asked for in its transaction.
#[derive(Default)]
pub(crate) struct Transaction {
    prepared: HashMap<String, String>,
    statements: Vec<String>,
}

impl Transaction {
    /// Takes in a message of the client. Where it asks to commit, the statements that are to be committed.
    pub(crate) fn take_in(&mut self, message: &Message) -> Option<Vec<String>> {
        match message.kind() {
            b'P' => drop(self.prepared.insert(message.text(0), message.text(1))),
            b'B' => self.statements.extend(self.prepared.get(&message.text(1)).cloned()),
            b'Q' => {
                let statement = message.text(0);
                let first = statement.split_whitespace().next().unwrap_or_default().to_lowercase();
                match first.trim_end_matches(';') {
                    "begin" | "rollback" => self.statements.clear(),
                    "commit" => return Some(std::mem::take(&mut self.statements)),
                    _ => self.statements.push(statement),
                }
            }
            _ => {}
        }
        None
    }
}
