//! What signs when.

use super::*;
use wire::{AsymmetricSecret, SigningSecret, WebhookId};

const BODY: &[u8] = b"{}";

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + hour * 3_600).expect("a second of 2026")
}

/// Secret number `number`, valid until that hour.
fn secret(number: u8, until: Option<i64>) -> EndpointSecret {
    EndpointSecret {
        number: number.into(),
        secret: SigningSecret::from_random([number; 32]).into(),
        created_at: at(0),
        valid_until: until.map(at),
    }
}

/// Which numbers of secrets sign at that hour, in order.
fn signing(secrets: &[EndpointSecret], hour: i64) -> Vec<u32> {
    let schedule = SigningSchedule::new(secrets).expect("secrets");
    let id = || WebhookId::new("msg_1").expect("an id");
    let header = schedule.signer_at(at(hour)).sign(id(), 1, BODY);
    let number_of = |signature: &str| {
        let alone = |secret: &EndpointSecret| Signer::new([secret.secret.clone()]).expect("one").sign(id(), 1, BODY);
        secrets.iter().find(|secret| alone(secret) == signature).expect("one of ours").number
    };
    header.split(' ').map(number_of).collect()
}

#[test]
fn one_secret_signs_for_ever() {
    assert_eq!(signing(&[secret(1, None)], 0), [1]);
    assert_eq!(signing(&[secret(1, None)], 1_000_000), [1]);
}

#[test]
fn both_sign_during_the_overlap_newest_first_and_then_the_new_one_alone() {
    let secrets = [secret(2, None), secret(1, Some(24))];
    assert_eq!(signing(&secrets, 23), [2, 1]);
    assert_eq!(signing(&secrets, 24), [2], "the end is the first moment without it");
}

#[test]
fn several_old_ones_end_each_at_its_own_time() {
    let secrets = [secret(4, None), secret(3, Some(24)), secret(2, Some(5)), secret(1, Some(24))];
    assert_eq!(signing(&secrets, 0), [4, 3, 2, 1]);
    assert_eq!(signing(&secrets, 5), [4, 3, 1]);
    assert_eq!(signing(&secrets, 24), [4]);
}

#[test]
fn a_secret_of_each_kind_may_sign_side_by_side() {
    let mut newest = secret(2, None);
    newest.secret = AsymmetricSecret::from_seed([2; 32]).into();
    assert_eq!(signing(&[newest, secret(1, Some(1))], 0), [2, 1]);
}

#[test]
fn without_a_newest_secret_there_is_no_schedule() {
    assert!(SigningSchedule::new(&[]).is_err());
    assert!(SigningSchedule::new(&[secret(1, Some(1))]).is_err());
}

#[test]
fn an_overlap_is_up_to_a_week() {
    assert_eq!(Overlap::default().end(at(0)), at(24));
    assert_eq!(Overlap::from_hours(0).expect("none").end(at(0)), at(0));
    assert_eq!(Overlap::from_hours(168).expect("a week").end(at(0)), at(168));
    assert_eq!(Overlap::from_hours(168).expect("a week").end(Timestamp::MAX), Timestamp::MAX);
    for hours in [169, 256, u64::MAX] {
        let refused = Overlap::from_hours(hours).expect_err("too long").to_string();
        assert!(refused.contains(&hours.to_string()) && refused.contains("168"), "{refused}");
    }
}
