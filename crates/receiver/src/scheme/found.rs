//! The few headers a scheme needs, found among all others. None may be there twice: nothing says which one was signed.

use std::sync::Arc;

use super::Rejection;

/// Names in lower case, and the values found.
pub(super) struct Found<'s, 'v, const N: usize> {
    names: [Option<&'s str>; N],
    values: [Option<&'v [u8]>; N],
}

impl<'s, 'v, const N: usize> Found<'s, 'v, N> {
    /// Reads all headers to the end, so that a second one of a name is never overlooked.
    pub(super) fn find<'n>(
        names: [Option<&'s str>; N],
        headers: impl IntoIterator<Item = (&'n str, &'v [u8])>,
    ) -> Result<Self, Rejection> {
        let mut values = [None; N];
        for (name, value) in headers {
            for (wanted, place) in names.iter().zip(&mut values) {
                let Some(wanted) = wanted.filter(|wanted| wanted.eq_ignore_ascii_case(name)) else { continue };
                if place.replace(value).is_some() {
                    return Err(Rejection::RepeatedHeader(wanted.into()));
                }
            }
        }
        Ok(Self { names, values })
    }

    /// All values, each there and ASCII.
    pub(super) fn texts(&self) -> Result<[&'v str; N], Rejection> {
        let mut texts = [""; N];
        for (place, text) in texts.iter_mut().enumerate() {
            *text = self.text(place)?;
        }
        Ok(texts)
    }

    /// A value that must be there and be ASCII.
    pub(super) fn text(&self, place: usize) -> Result<&'v str, Rejection> {
        ascii(self.bytes(place)?).ok_or_else(|| Rejection::NotText(self.name(place)))
    }

    /// A value that must be ASCII where it is there.
    pub(super) fn text_if_there(&self, place: usize) -> Result<Option<&'v str>, Rejection> {
        match self.values[place] {
            None => Ok(None),
            Some(value) => ascii(value).map(Some).ok_or_else(|| Rejection::NotText(self.name(place))),
        }
    }

    /// A value that must be there.
    pub(super) fn bytes(&self, place: usize) -> Result<&'v [u8], Rejection> {
        self.values[place].ok_or_else(|| Rejection::MissingHeader(self.name(place)))
    }

    pub(super) fn name(&self, place: usize) -> Arc<str> {
        self.names[place].unwrap_or_default().into()
    }
}

fn ascii(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
}
