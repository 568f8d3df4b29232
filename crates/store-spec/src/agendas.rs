//! What a store owes of people's calendars: the newest word, one address each, and nothing of who was erased.

use store::{Agenda, CalendarOf, Searched, Store, StoreResult, Whom};

use crate::World;

const ADA: &str = "ada@example.com";

fn agenda(person: &str, series: &str, version: (u64, u64)) -> Agenda {
    let entries = format!("[{{\"version\":{}}}]", version.0);
    Agenda { person: person.to_owned(), series: series.to_owned(), version, entries }
}

pub async fn an_agenda_reads_back_and_an_older_word_changes_nothing<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let newest = [agenda(ADA, "s1", (2, 7)), agenda(ADA, "s2", (0, 9))];
    let kept = [agenda("", "s1", (2, 7)), agenda("bob@example.com", "s1", (2, 8))];
    world.store.keep_agendas(ours, "mail", [&newest[..], &kept].concat()).await?;
    let older = vec![agenda(ADA, "s1", (1, 99)), agenda(ADA, "s2", (0, 8))];
    world.store.keep_agendas(ours, "mail", older).await?;
    assert_eq!(world.store.agendas(ours, "mail", ADA).await?, newest);
    assert_eq!(world.store.series_agenda(ours, "mail", "s1").await?.as_ref(), Some(&kept[0]));
    assert_eq!(world.store.series_agenda(ours, "mail", "s2").await?, None);

    let same = Agenda { entries: "[]".to_owned(), ..newest[0].clone() };
    world.store.keep_agendas(ours, "mail", vec![same.clone(), agenda(ADA, "s2", (1, 1))]).await?;
    assert_eq!(world.store.agendas(ours, "mail", ADA).await?, [same, agenda(ADA, "s2", (1, 1))]);
    assert_eq!(world.store.agendas(ours, "feed", ADA).await?, []);
    assert_eq!(world.store.agendas(theirs, "mail", ADA).await?, []);
    Ok(())
}

pub async fn a_calendar_has_one_address_that_shows_it<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let of = [CalendarOf::Person(ADA.to_owned()), CalendarOf::Series("s1".to_owned())];
    let mut token = 0;
    for (account, handler) in [(ours, "feed"), (ours, "mail"), (theirs, "feed")] {
        for of in &of {
            token += 1;
            assert_eq!(world.store.calendar_token(account, handler, of.clone(), [token; 20]).await?, [token; 20]);
            assert_eq!(world.store.calendar_token(account, handler, of.clone(), [99; 20]).await?, [token; 20]);
        }
    }
    let told = vec![agenda(ADA, "s1", (1, 1)), agenda(ADA, "s2", (1, 1)), agenda("", "s1", (1, 1))];
    world.store.keep_agendas(ours, "feed", told.clone()).await?;
    let shown = world.store.calendar([1; 20]).await?.expect("its address");
    assert_eq!((shown.of, &shown.agendas[..]), (of[0].clone(), &told[..2]));
    let shown = world.store.calendar([2; 20]).await?.expect("its address");
    assert_eq!((shown.of, &shown.agendas[..]), (of[1].clone(), &told[2..]));
    for empty in 3..=6 {
        assert_eq!(world.store.calendar([empty; 20]).await?.expect("its address").agendas, []);
    }
    assert_eq!(world.store.calendar([99; 20]).await?, None);
    Ok(())
}

pub async fn agendas_are_kept_under_names_of_any_length<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    // No digit follows from those before it, so that nothing of it can be left out.
    let digits = (0_u64..9_000).map(|nth| nth.wrapping_mul(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60);
    let long: String = digits.filter_map(|digit| char::from_digit(u32::try_from(digit).ok()?, 16)).collect();
    let people = [format!("{long}1@example.com"), format!("{long}2@example.com")];
    for (nth, person) in (1..).zip(&people) {
        let told = vec![agenda(person, &long, (nth, 0)), agenda(person, &format!("{long}x"), (nth, 0))];
        world.store.keep_agendas(account, "mail", told).await?;
        let of = CalendarOf::Person(person.clone());
        assert_eq!(world.store.calendar_token(account, "mail", of, [nth as u8; 20]).await?, [nth as u8; 20]);
    }
    for (nth, person) in (1..).zip(&people) {
        let kept = world.store.agendas(account, "mail", person).await?;
        assert_eq!(kept.iter().map(|kept| kept.version).collect::<Vec<_>>(), [(nth, 0); 2]);
        let shown = world.store.calendar([nth as u8; 20]).await?.expect("its address");
        assert_eq!(shown.agendas, kept);
        // What was read is changed, and kept again.
        let [first, second] = kept.try_into().expect("two");
        world.store.keep_agendas(account, "mail", vec![Agenda { version: (9, 0), ..first }]).await?;
        let now = world.store.agendas(account, "mail", person).await?;
        assert!(now.len() == 2 && now.contains(&second), "{} agendas", now.len());
    }
    world.erase_whom(account, Whom::Email(people[0].to_uppercase())).await?;
    assert_eq!(world.store.agendas(account, "mail", &people[0]).await?, []);
    assert_eq!(world.store.agendas(account, "mail", &people[1]).await?.len(), 2);
    Ok(())
}

pub async fn who_is_erased_has_no_agenda_and_no_calendar<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (account, other) = (world.account().await?, world.account().await?);
    let bob = "bob@example.com";
    for account in [account, other] {
        let told = vec![agenda(ADA, "s1", (1, 0)), agenda(bob, "s1", (1, 0)), agenda("", "s1", (1, 0))];
        world.store.keep_agendas(account, "mail", told).await?;
    }
    let tokens = [(ADA, [1; 20]), (bob, [2; 20])];
    for (person, token) in tokens {
        world.store.calendar_token(account, "mail", CalendarOf::Person(person.to_owned()), token).await?;
    }
    world.erase(account, "Ada").await?;
    assert_eq!(world.store.agendas(account, "mail", ADA).await?, []);
    assert_eq!(world.store.calendar([1; 20]).await?, None);
    assert!(world.store.calendar([2; 20]).await?.is_some());
    assert_eq!(world.store.agendas(account, "mail", bob).await?.len(), 1);
    assert!(world.store.series_agenda(account, "mail", "s1").await?.is_some());
    assert_eq!(world.store.agendas(other, "mail", ADA).await?.len(), 1, "somebody else's");
    Ok(())
}

pub async fn what_was_under_way_when_somebody_was_erased_leaves_no_agenda<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let numbers = world.messages(&sender, 2).await?;
    world.erase(account, "ada").await?;
    world.store.keep_agendas(account, "mail", vec![agenda(ADA, "s1", (1, numbers[1]))]).await?;
    let search = world.store.searches(1).await?.remove(0);
    let searched = Searched { naming: vec![numbers[0]], count: 2, read_to: Some(numbers[1]) };
    world.store.note_search(search, searched).await?;
    world.store.keep_agendas(account, "mail", vec![agenda(ADA, "s2", (1, numbers[0]))]).await?;
    assert_eq!(
        world.store.agendas(account, "mail", ADA).await?,
        [agenda(ADA, "s1", (1, numbers[1]))],
        "of emptied none"
    );

    let later = world.accept(&sender, "msg_later", "{}").await?;
    let store::Acceptance::Stored(later) = later else { panic!("{later:?}") };
    world.store.keep_agendas(account, "mail", vec![agenda(ADA, "s3", (1, later))]).await?;
    assert!(world.search_on().await?);
    assert_eq!(world.store.agendas(account, "mail", ADA).await?, [agenda(ADA, "s3", (1, later))], "sent afterwards");
    Ok(())
}
