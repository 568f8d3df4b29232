//! One text for all spellings of a JSON document that differ in member order and insignificant space only.
//!
//! Tokens stay as written: `1.0` is not `1`, and of two members with one name both count. To read numbers as floats
//! or to drop a member could make two messages one, and the second would be lost.

use serde::de::IgnoredAny;

/// Deeper documents are compared as bytes: no sender nests so deep, and each level is a stack frame.
const DEPTH_MAX: usize = 64;

/// The canonical text, or none if it is no JSON or nested too deep.
pub(super) fn canonical(body: &[u8]) -> Option<Vec<u8>> {
    // The grammar is checked by the library first, so that the walk below need only find borders.
    serde_json::from_slice::<IgnoredAny>(body).ok()?;
    let mut walk = Walk { rest: body, out: Vec::with_capacity(body.len()) };
    walk.value(DEPTH_MAX)?;
    Some(walk.out)
}

struct Walk<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, depth_left: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth_left.checked_sub(1)?),
            b'[' => self.array(depth_left.checked_sub(1)?),
            b'"' => {
                let token = self.string()?;
                self.out.extend_from_slice(token);
                Some(())
            }
            _ => self.scalar(),
        }
    }

    fn array(&mut self, depth_left: usize) -> Option<()> {
        self.move_over(b'[')?;
        self.out.push(b'[');
        while self.peek()? != b']' {
            self.value(depth_left)?;
            if self.peek()? == b',' {
                self.move_over(b',')?;
                self.out.push(b',');
            }
        }
        self.move_over(b']')?;
        self.out.push(b']');
        Some(())
    }

    fn object(&mut self, depth_left: usize) -> Option<()> {
        self.move_over(b'{')?;
        let mut members = Vec::new();
        while self.peek()? != b'}' {
            let name = self.string()?;
            self.move_over(b':')?;
            let value_start = self.out.len();
            self.value(depth_left)?;
            members.push((name, self.out.split_off(value_start)));
            if self.peek()? == b',' {
                self.move_over(b',')?;
            }
        }
        self.move_over(b'}')?;
        // Stable: members of one name keep their order, which readers give a meaning to.
        members.sort_by_key(|(name, _)| *name);
        self.out.push(b'{');
        for (before, (name, value)) in members.iter().enumerate() {
            if before > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(name);
            self.out.push(b':');
            self.out.extend_from_slice(value);
        }
        self.out.push(b'}');
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        let len = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let token = self.take(len)?;
        self.out.extend_from_slice(token);
        Some(())
    }

    /// The token of a string with its quotes, escapes as written.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        let mut len = 1;
        loop {
            match self.rest.get(len)? {
                b'"' => return self.take(len + 1),
                b'\\' => len += 2,
                _ => len += 1,
            }
        }
    }

    /// The next byte that is not insignificant space.
    fn peek(&mut self) -> Option<u8> {
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let start = self.rest.iter().position(|byte| !space(byte))?;
        self.take(start)?;
        self.rest.first().copied()
    }

    fn move_over(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.take(1)).map(drop)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (token, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(token)
    }
}
