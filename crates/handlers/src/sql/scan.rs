//! Finds the parameters in a statement's text, and leaves alone what only looks like one: in quotes, comments and casts.

/// Which database reads the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// A part of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Stands as it is.
    Plain(&'t str),
    /// A parameter, without its colon.
    Parameter(&'t str),
}

/// Cuts a statement into its pieces. Refuses what is no single statement with named parameters.
pub(super) fn pieces(text: &str, dialect: Dialect) -> Result<Vec<Piece<'_>>, String> {
    let mut scanner = Scanner { text, dialect, at: 0 };
    let mut pieces = Vec::new();
    let mut plain_from = 0;
    while let Some(byte) = scanner.byte(0) {
        if let Some(length) = scanner.parameter_length() {
            pieces.push(Piece::Plain(&text[plain_from..scanner.at]));
            plain_from = scanner.at + 1 + length;
            pieces.push(Piece::Parameter(&text[scanner.at + 1..plain_from]));
            scanner.at = plain_from;
            continue;
        }
        match byte {
            b';' => {
                scanner.at += 1;
                scanner.expect_the_end()?;
                break;
            }
            _ => scanner.step()?,
        }
    }
    pieces.push(Piece::Plain(&text[plain_from..]));
    Ok(pieces)
}

struct Scanner<'t> {
    text: &'t str,
    dialect: Dialect,
    at: usize,
}

impl Scanner<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Whether what stands before belongs to a name or number, so that a letter here begins none.
    fn is_within_word(&self, at: usize) -> bool {
        self.text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// Goes past one character, or past all of a string, comment, quoted name or cast.
    fn step(&mut self) -> Result<(), String> {
        let is_postgres = self.dialect == Dialect::Postgres;
        match (self.byte(0), self.byte(1)) {
            (Some(b'-'), Some(b'-')) => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
            (Some(b'/'), Some(b'*')) => self.skip_comment()?,
            (Some(b'\''), _) => {
                let is_escaping = is_postgres
                    && self.at > 0
                    && matches!(self.text.as_bytes()[self.at - 1], b'e' | b'E')
                    && !self.is_within_word(self.at - 1);
                self.skip_quoted(b'\'', is_escaping)?;
            }
            (Some(b'"'), _) => self.skip_quoted(b'"', false)?,
            (Some(b'`'), _) if !is_postgres => self.skip_quoted(b'`', false)?,
            (Some(b'['), _) if !is_postgres => self.skip_until("]", "[")?,
            (Some(b'$'), _) if is_postgres && !self.is_within_word(self.at) => self.skip_dollar()?,
            (Some(b'?' | b'@' | b'$'), _) if !is_postgres => return Err(self.foreign_parameter()),
            (Some(b':'), Some(b':')) => self.at += 2,
            _ => self.at += self.rest().chars().next().map_or(1, char::len_utf8),
        }
        Ok(())
    }

    /// The length of the parameter that begins with the colon here, without it.
    fn parameter_length(&self) -> Option<usize> {
        if self.byte(0) != Some(b':') || (self.at > 0 && self.text.as_bytes()[self.at - 1] == b':') {
            return None;
        }
        let path = &self.text[self.at + 1..];
        let mut length = name_length(path)?;
        loop {
            let rest = &path[length..];
            length += match rest.as_bytes().first() {
                Some(b'.') => match name_length(&rest[1..]) {
                    Some(name) => 1 + name,
                    None => return Some(length),
                },
                Some(b'[') => match index_length(rest) {
                    Some(index) => index,
                    None => return Some(length),
                },
                _ => return Some(length),
            };
        }
    }

    /// PostgreSQL's comments nest, SQLite's do not.
    fn skip_comment(&mut self) -> Result<(), String> {
        if self.dialect == Dialect::Sqlite {
            self.at += 2;
            return self.skip_until("*/", "/*");
        }
        let mut depth = 0_u32;
        while let Some(byte) = self.byte(0) {
            match (byte, self.byte(1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
        Err(unended("/*"))
    }

    /// A doubled quote stands for one; it ends here and begins anew, which comes to the same.
    fn skip_quoted(&mut self, quote: u8, is_escaping: bool) -> Result<(), String> {
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            self.at += 1;
            match byte {
                b'\\' if is_escaping => self.at += 1,
                _ if byte == quote && is_escaping && self.byte(0) == Some(quote) => self.at += 1,
                _ if byte == quote => return Ok(()),
                _ => {}
            }
        }
        Err(unended(&char::from(quote).to_string()))
    }

    fn skip_dollar(&mut self) -> Result<(), String> {
        let after = &self.rest()[1..];
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.foreign_parameter());
        }
        let tag = name_length(after).unwrap_or(0);
        if after.as_bytes().get(tag) != Some(&b'$') {
            self.at += 1;
            return Ok(());
        }
        let mark = self.rest()[..tag + 2].to_owned();
        self.at += mark.len();
        self.skip_until(&mark, &mark)
    }

    fn skip_until(&mut self, end: &str, begin: &str) -> Result<(), String> {
        let length = self.rest().find(end).ok_or_else(|| unended(begin))?;
        self.at += length + end.len();
        Ok(())
    }

    fn expect_the_end(&mut self) -> Result<(), String> {
        while let Some(byte) = self.byte(0) {
            let is_comment = matches!((byte, self.byte(1)), (b'-', Some(b'-')) | (b'/', Some(b'*')));
            if !is_comment && !byte.is_ascii_whitespace() && byte != b';' {
                return Err("holds more than one statement; write each as a text of its own in the list".to_owned());
            }
            self.step()?;
        }
        Ok(())
    }

    fn foreign_parameter(&self) -> String {
        let word: String = self.rest().chars().take_while(|c| !c.is_whitespace()).take(12).collect();
        format!("has the parameter {word}; write what is meant by its path in the event, such as :person.email")
    }
}

fn unended(begin: &str) -> String {
    format!("has a {begin} without its end")
}

/// The length of the name the text begins with.
fn name_length(text: &str) -> Option<usize> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    Some(text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// The length of `[12]` or `["a name"]` at the text's beginning.
fn index_length(text: &str) -> Option<usize> {
    let inner = &text[1..];
    if let Some(quoted) = inner.strip_prefix('"') {
        let name = quoted.find('"')?;
        return quoted[name + 1..].starts_with(']').then_some(1 + 1 + name + 1 + 1);
    }
    let digits = inner.find(|c: char| !c.is_ascii_digit())?;
    (digits > 0 && inner[digits..].starts_with(']')).then_some(1 + digits + 1)
}
