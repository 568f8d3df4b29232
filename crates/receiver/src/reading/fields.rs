//! The members of one object of a payload, read as what they should be, with a note wherever they are not.

use std::borrow::Cow;

use super::json::{Json, Object, Text};
use super::repairs::{Place, Repairs};

/// An object, where it stands, and where its repairs go.
pub(super) struct Fields<'a, 'r> {
    object: &'r Object<'a>,
    place: Place<'r>,
    repairs: &'r mut Repairs,
}

impl<'a, 'r> Fields<'a, 'r> {
    pub(super) fn new(object: &'r Object<'a>, place: Place<'r>, repairs: &'r mut Repairs) -> Fields<'a, 'r> {
        Fields { object, place, repairs }
    }

    pub(super) fn mended(&mut self, member: &'static str, what: &'static str) {
        self.repairs.mended(self.place, member, what);
    }

    pub(super) fn lost(&mut self, member: &'static str, what: &'static str) {
        self.repairs.lost(self.place, member, what);
    }

    /// The member as it is; one that is missing is null.
    pub(super) fn json(&mut self, member: &'static str) -> Json<'a> {
        let Some((raw, is_repeated)) = self.object.get(member) else { return Json::Null };
        if is_repeated {
            self.mended(member, "stands there more than once; the last was taken");
        }
        Json::of(raw)
    }

    /// The member as text without space around it; `None` where it is missing or null.
    pub(super) fn text(&mut self, member: &'static str) -> Option<Cow<'a, str>> {
        match self.json(member) {
            Json::Null => None,
            Json::Text(text) => Some(self.clean(member, text)),
            Json::Number(digits) => {
                self.mended(member, "is a number; taken as text");
                Some(Cow::Borrowed(digits))
            }
            Json::Bool(word) => {
                self.mended(member, "is true or false; taken as text");
                Some(Cow::Borrowed(word))
            }
            Json::Array(_) | Json::Object(_) => {
                self.lost(member, "is no text; left out");
                None
            }
        }
    }

    /// As [`text`](Fields::text), for a member that should be there.
    pub(super) fn expected_text(&mut self, member: &'static str) -> String {
        let text = self.text(member).unwrap_or_default().into_owned();
        if text.is_empty() {
            self.mended(member, "is missing or empty");
        }
        text
    }

    /// The text without what surrounds it and what no database keeps.
    pub(super) fn clean<'t>(&mut self, member: &'static str, Text { text, is_broken }: Text<'t>) -> Cow<'t, str> {
        if is_broken {
            self.lost(member, "holds half a character, which no text can; replaced by \u{fffd}");
        }
        let mut text = text;
        if text.contains('\0') {
            self.mended(member, "holds NUL characters, which databases cannot keep; removed");
            text = Cow::Owned(text.replace('\0', ""));
        }
        if text.trim().len() == text.len() {
            return text;
        }
        self.mended(member, "has space around it; removed");
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }
}
