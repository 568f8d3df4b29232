//! What is signed, as a template: `{id}.{timestamp}.{body}` and the like.

use zeroize::Zeroizing;

use crate::SourceError;

/// Pieces to hash one after the other, so that the body need not be copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Id,
    Timestamp,
    Key,
    Body,
}

/// What fills a template.
#[derive(Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) key: &'a [u8],
    pub(super) body: &'a [u8],
}

impl Template {
    /// `{url}` is put in here and now: it comes from the settings, never from a request.
    pub(super) fn parse(text: &str, public_url: Option<&str>) -> Result<Self, SourceError> {
        let refuse = |problem: String| Err(SourceError::field("content", problem));
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return refuse("has a { without a }".to_owned());
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(match (name, public_url) {
                ("id", _) => Piece::Id,
                ("timestamp", _) => Piece::Timestamp,
                ("key", _) => Piece::Key,
                ("body", _) => Piece::Body,
                ("url", Some(url)) => Piece::Text(url.to_owned()),
                ("url", None) => {
                    return refuse("has {url}; give public-url, the whole URL as the sender knows it".to_owned());
                }
                (other, _) => {
                    return refuse(format!(
                        "has {{{other}}}; known are {{id}}, {{timestamp}}, {{key}}, {{url}}, {{body}}"
                    ));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let template = Self(pieces);
        // Otherwise a signature could be moved to another body.
        match template.count(&Piece::Body) {
            1 => Ok(template),
            _ => refuse("has to have {body} once, as in \"{timestamp}.{body}\"".to_owned()),
        }
    }

    pub(super) fn has_id(&self) -> bool {
        self.count(&Piece::Id) > 0
    }

    pub(super) fn has_timestamp(&self) -> bool {
        self.count(&Piece::Timestamp) > 0
    }

    pub(super) fn has_key(&self) -> bool {
        self.count(&Piece::Key) > 0
    }

    /// Whether the id stands next to anything it could run into, so that a border could be moved without a change of
    /// what is signed.
    pub(super) fn id_runs_into_others(&self) -> bool {
        let parts = |one: &Piece, other: &Piece| match (one, other) {
            (Piece::Id, Piece::Text(text)) => !text.starts_with(is_of_signed_id),
            (Piece::Text(text), Piece::Id) => !text.ends_with(is_of_signed_id),
            (Piece::Id, _) | (_, Piece::Id) => false,
            _ => true,
        };
        !self.0.windows(2).all(|pair| parts(&pair[0], &pair[1]))
    }

    /// The pieces as bytes, in order.
    pub(super) fn filled<'a>(&'a self, filling: Filling<'a>) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().map(move |piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Id => filling.id.as_bytes(),
            Piece::Timestamp => filling.timestamp.as_bytes(),
            Piece::Key => filling.key,
            Piece::Body => filling.body,
        })
    }

    /// The same in one, for Ed25519, which reads the content twice.
    pub(super) fn filled_whole(&self, filling: Filling<'_>) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.filled(filling).collect::<Vec<_>>().concat())
    }

    fn count(&self, piece: &Piece) -> usize {
        self.0.iter().filter(|own| *own == piece).count()
    }
}

/// What an id may consist of where it is signed, so that it ends where its border stands.
pub(super) const fn is_of_signed_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}
