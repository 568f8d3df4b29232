//! People by name.

use store::NewMember;
use webinar::{Participant, Zones};

/// Somebody called `name`, whose address is made from it.
pub fn member(name: &str) -> NewMember {
    member_who(name, "", "")
}

/// Somebody with a phone and a time zone; either may be empty.
pub fn member_who(name: &str, phone: &str, timezone: &str) -> NewMember {
    let email = format!("{name}@example.com");
    let participant = Participant::parse(name, &email, phone, timezone, &Zones::bundled()).expect("a person");
    NewMember { participant, attributes: None }
}
