//! Just enough of PostgreSQL's protocol (version 3.0, messages of the frontend) to know when an append goes to the server, and
//! how many statements do.

use std::collections::HashSet;

/// What the statements of an append are known by: the one for batches in which all is as expected, and the other one.
const APPENDS: [&[u8]; 2] = [b"INSERT INTO append_keys", b"append_batch("];
/// Startup message: length and protocol version, without a type.
const STARTUP_LENGTH: usize = 4;

/// Follows what one connection sends.
pub(super) struct Appends {
    /// What is not a whole message yet.
    rest: Vec<u8>,
    started: bool,
    /// Names of prepared statements that append.
    statements: HashSet<Vec<u8>>,
    /// One of them was bound, and waits to be executed.
    bound: bool,
    /// Statements that were sent to be executed.
    executed: u64,
    /// No PostgreSQL connection after all: a message that can't be one.
    foreign: bool,
}

impl Appends {
    pub(super) fn new() -> Self {
        Self { rest: Vec::new(), started: false, statements: HashSet::new(), bound: false, executed: 0, foreign: false }
    }

    /// Takes the next bytes. `true`: with them the server has all it needs to run an append and to commit it.
    pub(super) fn sent_with(&mut self, bytes: &[u8]) -> bool {
        if self.foreign {
            return false;
        }
        self.rest.extend_from_slice(bytes);
        let mut sent = false;
        while let Some(message) = self.message() {
            sent |= self.take(&message);
        }
        sent
    }

    /// How many statements were sent to be executed since this was asked last.
    pub(super) fn executed(&mut self) -> u64 {
        std::mem::take(&mut self.executed)
    }

    /// The next whole message: its type, then its body. The startup message has type 0.
    fn message(&mut self) -> Option<Vec<u8>> {
        let header = if self.started { 1 } else { 0 };
        let length = self.rest.get(header..header + STARTUP_LENGTH)?;
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        if !(STARTUP_LENGTH..=1 << 28).contains(&length) {
            self.foreign = true;
            self.rest.clear();
            return None;
        }
        if self.rest.len() < header + length {
            return None;
        }
        let whole: Vec<u8> = self.rest.drain(..header + length).collect();
        let kind = if self.started { whole[0] } else { 0 };
        self.started = true;
        Some([&[kind], &whole[header + STARTUP_LENGTH..]].concat())
    }

    fn take(&mut self, message: &[u8]) -> bool {
        let mut parts = message[1..].split(|byte| *byte == 0);
        match message[0] {
            b'P' => {
                let (name, query) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                if APPENDS.iter().any(|append| query.windows(append.len()).any(|window| window == *append)) {
                    self.statements.insert(name.to_vec());
                }
                false
            }
            b'B' => {
                let (_portal, statement) = (parts.next(), parts.next().unwrap_or_default());
                self.bound = self.statements.contains(statement);
                false
            }
            b'E' | b'Q' => {
                self.executed += 1;
                false
            }
            // A Sync ends the implicit transaction: the server commits.
            b'S' => std::mem::take(&mut self.bound),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    fn startup() -> Vec<u8> {
        message(0, b"\0\x03\0\0user\0postgres\0\0")[1..].to_vec()
    }

    fn parse(name: &str, query: &str) -> Vec<u8> {
        message(b'P', format!("{name}\0{query}\0\0\0").as_bytes())
    }

    fn run(name: &str) -> Vec<u8> {
        [message(b'B', format!("\0{name}\0\0\0").as_bytes()), message(b'E', b"\0\0\0\0\0")].concat()
    }

    #[test]
    fn an_append_is_sent_with_the_sync_that_follows_it_and_nothing_else_is() {
        let mut appends = Appends::new();
        assert!(!appends.sent_with(&startup()));
        let prepare = [
            parse("s1", "SELECT 1"),
            parse("s2", "WITH k AS (INSERT INTO append_keys VALUES ($1)) SELECT 1"),
            message(b'S', b""),
        ];
        assert!(!appends.sent_with(&prepare.concat()));
        assert!(!appends.sent_with(&[run("s1"), message(b'S', b"")].concat()));
        assert!(!appends.sent_with(&run("s2")));
        assert!(appends.sent_with(&message(b'S', b"")));
        assert!(!appends.sent_with(&message(b'S', b"")));
        assert!(appends.sent_with(&[run("s2"), message(b'S', b"")].concat()), "prepared once, run often");
        assert_eq!((appends.executed(), appends.executed()), (3, 0));
    }

    #[test]
    fn messages_may_come_in_pieces() {
        let mut appends = Appends::new();
        let all = [startup(), parse("s", "append_batch($1)"), run("s"), message(b'S', b"")].concat();
        let (last, before) = all.split_last().unwrap();
        assert!(before.iter().all(|byte| !appends.sent_with(&[*byte])));
        assert!(appends.sent_with(&[*last]));
    }

    #[test]
    fn another_protocol_is_left_alone() {
        let mut appends = Appends::new();
        assert!(!appends.sent_with(b"\xff\xff\xff\xff\xff"));
        assert!(!appends.sent_with(&[startup(), message(b'S', b"")].concat()));
    }
}
