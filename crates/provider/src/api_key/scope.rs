//! What a key may be used for. Few scopes, in the words of the people who hand out keys.

use std::fmt;
use std::str::FromStr;

/// One thing a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything, further keys too.
    Manage,
    /// Everything that only shows.
    Read,
    /// Members of mangoes and registrations for series.
    Audience,
    /// Which URLs are told of what: the registration route and subscriptions.
    Register,
}

/// What a key may be used for: at least one [`Scope`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes {
    bits: u8,
}

/// The text is not a list of scopes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope \"{0}\"; give \"manage\", \"read\", \"audience\" or \"register\"")]
pub struct UnknownScope(String);

/// Of a wrong scope so many characters are repeated.
const REPEATED_CHARS_MAX: usize = 40;

impl Scope {
    /// All there are.
    pub const ALL: [Scope; 4] = [Scope::Manage, Scope::Read, Scope::Audience, Scope::Register];

    /// Its name in the API, on the command line and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Manage => "manage",
            Scope::Read => "read",
            Scope::Audience => "audience",
            Scope::Register => "register",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

impl Scopes {
    /// Those of an account's first key.
    pub const EVERYTHING: Scopes = Scopes { bits: 1 << (Scope::Manage as u8) };

    /// `None` where there is not one.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Option<Scopes> {
        let bits = scopes.into_iter().fold(0, |bits, scope| bits | scope.bit());
        (bits != 0).then_some(Scopes { bits })
    }

    /// Whether a key with these may do what needs `scope`.
    pub fn allow(self, scope: Scope) -> bool {
        self.bits & (scope.bit() | Scope::Manage.bit()) != 0
    }

    /// Each of them, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.bits & scope.bit() != 0)
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Scope, UnknownScope> {
        let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| UnknownScope(text.chars().take(REPEATED_CHARS_MAX).collect()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names with a space between them, as they are stored.
impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Scopes, UnknownScope> {
        let scopes = text.split(' ').map(str::parse).collect::<Result<Vec<Scope>, _>>()?;
        Scopes::of(scopes).ok_or_else(|| UnknownScope(String::new()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manage_allows_everything_and_the_others_only_themselves() {
        for scope in Scope::ALL {
            assert!(Scopes::EVERYTHING.allow(scope));
            let only = Scopes::of([scope]).unwrap();
            let allowed: Vec<Scope> = Scope::ALL.into_iter().filter(|other| only.allow(*other)).collect();
            assert_eq!(allowed, if scope == Scope::Manage { Scope::ALL.to_vec() } else { vec![scope] });
        }
        assert_eq!(Scopes::of([]), None);
    }

    #[test]
    fn scopes_read_back_as_they_are_written_and_nothing_else_does() {
        for bits in 1..16_usize {
            let scopes = Scopes::of(Scope::ALL.into_iter().filter(|scope| bits & (1 << *scope as usize) != 0)).unwrap();
            assert_eq!(scopes.to_string().parse(), Ok(scopes));
        }
        for text in ["", " ", "Manage", "read,audience", "read  audience", "admin"] {
            assert!(text.parse::<Scopes>().is_err(), "{text:?}");
        }
    }
}
