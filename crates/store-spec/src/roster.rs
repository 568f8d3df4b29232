//! What a store owes of mangoes, participants and membership.

use store::{Enrolled, Group, Store, StoreError, StoreResult, Targets};
use webinar::{MangoId, SeriesId};
use wire::AccountId;

use crate::World;
use crate::world::{member, member_who};

pub async fn a_mango_is_made_once_in_an_account_that_exists<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.new_mango();
    world.store.create_mango(account, mango.clone()).await?;
    let refused = world.store.create_mango(account, mango.clone()).await;
    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");
    let refused = world.store.create_mango(AccountId::from_u32(404), mango.clone()).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    assert_eq!(world.store.mangoes(account, None, 10).await?.items, [(mango, 0)]);
    Ok(())
}

pub async fn mangoes_come_in_pages_with_their_active_members<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let first = world.mango_of(account, &["ada", "bob", "cy"]).await?;
    let second = world.mango_of(account, &["ada"]).await?;
    let third = world.mango(account).await?;
    world.leave(account, Group::Mango(first), "bob").await?;

    let page = world.store.mangoes(account, None, 2).await?;
    let counts: Vec<_> = page.items.iter().map(|(mango, members)| (mango.id, *members)).collect();
    assert_eq!(counts, [(first, 2), (second, 1)]);
    assert_eq!(page.next, Some(second));
    let page = world.store.mangoes(account, page.next, 1).await?;
    assert_eq!((page.items[0].0.id, page.items.len(), page.next), (third, 1, None));
    Ok(())
}

pub async fn mangoes_are_named_in_the_order_asked_for<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let (first, second) = (world.mango(account).await?, world.mango(account).await?);
    let unknown = MangoId::from_bytes([0xee; 12]);
    let named = world.store.mangoes_named(account, &[second, unknown, first]).await?;
    assert_eq!(named.iter().map(|mango| mango.id).collect::<Vec<_>>(), [second, first]);
    assert_eq!(named[0].name, format!("Mango {second}"));
    Ok(())
}

pub async fn enrolling_counts_who_is_new_changed_or_just_so<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    let changed = member_who("bob", "+49 30 1234", "");
    let members = vec![member("ada"), changed.clone(), member("cy")];
    let enrolled = world.store.enrol(account, Group::Mango(mango), members).await?;
    assert_eq!(enrolled, Enrolled { added: 1, updated: 1, unchanged: 1 });
    let bob = world.store.participant_by_email(account, "bob@example.com").await?;
    assert_eq!(bob.map(|bob| bob.participant), Some(changed.participant));

    let elsewhere = world.mango(account).await?;
    let enrolled = world.enrol(account, Group::Mango(elsewhere), &["ada"]).await?;
    assert_eq!(enrolled, Enrolled { added: 1, ..Enrolled::default() }, "known, but new to this mango");
    Ok(())
}

pub async fn one_address_is_one_person_in_whatever_case<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.mango_of(account, &["ada"]).await?;
    let mut shouting = member("ada");
    shouting.participant.email = "ADA@Example.com".to_owned();
    let enrolled = world.store.enrol(account, Group::Mango(mango), vec![shouting; 2]).await?;
    assert_eq!(enrolled, Enrolled { unchanged: 2, ..Enrolled::default() });

    let found = world.store.participant_by_email(account, "aDa@eXample.com").await?.expect("ada");
    assert_eq!((found.number, found.participant.email.as_str()), (1, "ada@example.com"));
    Ok(())
}

pub async fn people_are_numbered_from_one_in_each_account<S: Store>(mut world: World<S>) -> StoreResult<()> {
    for _ in 0..2 {
        let account = world.account().await?;
        world.mango_of(account, &["ada", "bob"]).await?;
        assert_eq!(world.number_of(account, "ada").await?, 1);
        assert_eq!(world.number_of(account, "bob").await?, 2);
        let bob = world.store.participant(account, 2).await?.expect("bob");
        assert_eq!(bob.participant, member("bob").participant);
        assert_eq!(world.store.participant(account, 3).await?, None);
        assert_eq!(world.store.participant(account, u64::MAX).await?, None);
    }
    Ok(())
}

pub async fn who_leaves_may_come_back<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.mango_of(account, &["ada"]).await?;
    let group = Group::Mango(mango);
    assert!(world.leave(account, group, "ada").await?);
    assert!(!world.leave(account, group, "ada").await?, "nobody leaves twice");
    assert!(!world.store.leave(account, group, 99).await?, "nor does who was never there");
    assert_eq!(world.enrol(account, group, &["ada"]).await?.added, 1);
    assert!(world.leave(account, group, "ada").await?);
    assert_eq!(world.number_of(account, "ada").await?, 1, "it is the same person");
    Ok(())
}

pub async fn people_join_only_what_exists<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    for group in [Group::Mango(MangoId::from_bytes([9; 12])), Group::Series(SeriesId::from_bytes([9; 12]))] {
        let refused = world.enrol(account, group, &["ada"]).await;
        assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    }
    assert_eq!(world.store.participant_by_email(account, "ada@example.com").await?, None);
    Ok(())
}

pub async fn further_columns_stay_where_a_list_has_none<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let group = Group::Mango(world.mango(account).await?);
    let mut ada = member("ada");
    ada.attributes = Some(r#"{"tier":"gold"}"#.to_owned());
    world.store.enrol(account, group, vec![ada.clone()]).await?;
    assert_eq!(world.enrol(account, group, &["ada"]).await?.unchanged, 1);
    let kept = world.store.participant(account, 1).await?.expect("ada");
    assert_eq!(kept.attributes, ada.attributes);

    ada.attributes = Some("{}".to_owned());
    assert_eq!(world.store.enrol(account, group, vec![ada.clone()]).await?.updated, 1);
    assert_eq!(world.store.participant(account, 1).await?.expect("ada").attributes, ada.attributes);
    Ok(())
}

pub async fn an_unusual_person_reads_back<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let group = Group::Mango(world.mango(account).await?);
    let zones = ["Asia/Kolkata", "+05:45", "-03:30", "Z", "Asia/Calcutta", ""];
    let mut members: Vec<_> = zones
        .iter()
        .enumerate()
        .map(|(n, zone)| member_who(&format!("p{n}"), "0012345678901234567890", zone))
        .collect();
    members[0].participant.name = "O'Brien \"🎺\" \u{202e}\u{7}\t".to_owned();
    world.store.enrol(account, group, members.clone()).await?;
    for (number, member) in (1..).zip(members) {
        let kept = world.store.participant(account, number).await?.expect("enrolled");
        assert_eq!(kept.participant, member.participant);
    }
    Ok(())
}

pub async fn a_preview_sees_whom_a_save_would_tell<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let empty = world.mango(account).await?;
    let mango = world.mango_of(account, &["ada", "bob", "cy"]).await?;
    let excluded = world.mango_of(account, &["dee"]).await?;
    world.leave(account, Group::Mango(mango), "ada").await?;
    let plan = world.plan(&[mango, empty, excluded]);
    let targets =
        |mangoes: &[MangoId]| Targets { series: plan.id, mangoes: mangoes.to_vec(), excluded: vec![excluded] };

    let (count, first) = world.store.preview(account, targets(&[mango, empty, excluded])).await?;
    assert_eq!((count, first), (2, world.store.participant(account, 2).await?));
    assert_eq!(world.store.preview(account, targets(&[empty])).await?, (0, None));
    Ok(())
}

pub async fn the_roster_of_another_account_is_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let mango = world.mango_of(theirs, &["ada"]).await?;
    let plan = world.plan(&[mango]);
    world.save(theirs, &plan).await?;

    assert_eq!(world.store.mangoes(ours, None, 10).await?.items, []);
    assert_eq!(world.store.mangoes_named(ours, &[mango]).await?, []);
    assert_eq!(world.store.participant(ours, 1).await?, None);
    assert_eq!(world.store.participant_by_email(ours, "ada@example.com").await?, None);
    assert!(!world.store.leave(ours, Group::Mango(mango), 1).await?);
    for group in [Group::Mango(mango), Group::Series(plan.id)] {
        assert!(matches!(world.enrol(ours, group, &["eve"]).await, Err(StoreError::Missing(_))));
    }
    let targets = Targets { series: plan.id, mangoes: vec![mango], excluded: Vec::new() };
    assert_eq!(world.store.preview(ours, targets).await?, (0, None));
    assert_eq!(world.store.mangoes(theirs, None, 10).await?.items[0].1, 1, "nothing has changed there");
    Ok(())
}
