//! What a store owes of endpoints and subscriptions.

use provider::lane::LaneState;
use store::{Endpoint, EndpointChange, EndpointSwitch, Store, StoreError, StoreResult, Subscribed, SubscriptionRecord};
use webinar::EventType;
use wire::{AccountId, EndpointId, SubscriptionId};

use crate::World;

const URL: &str = "https://receiver.example/hook?token=ä";

pub async fn the_first_subscription_brings_its_endpoint_and_secret<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let new = world.new_subscription(URL);
    let Subscribed::WithNewEndpoint(record, endpoint) = world.store.subscribe(account, new.clone()).await? else {
        panic!("the endpoint is new");
    };
    assert_eq!((record.subscription.id, record.subscription.endpoint), (new.id, new.endpoint));
    assert_eq!((record.subscription.event, record.subscription.webinar), (new.event, None));
    assert_eq!((endpoint.id, endpoint.url.as_str(), endpoint.switch), (new.endpoint, URL, EndpointSwitch::On));
    assert_eq!((endpoint.health, endpoint.created_at), (LaneState::default(), world.now()));
    assert_eq!(secrets(&endpoint), [new.secret.reveal().to_string()]);

    assert_eq!(world.store.subscription(account, new.id).await?, Some(record));
    let kept = world.endpoint_now(account, new.endpoint).await?;
    assert_eq!(format!("{kept:?}"), format!("{endpoint:?}"));
    assert_eq!(secrets(&kept), secrets(&endpoint));
    Ok(())
}

pub async fn the_same_subscription_twice_is_one<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let series = world.plan(&[]).id;
    for webinar in [None, Some(series.into())] {
        let mut first = world.new_subscription(URL);
        let mut second = world.new_subscription(URL);
        (first.webinar, second.webinar) = (webinar, webinar);
        world.store.subscribe(account, first.clone()).await?;
        let Subscribed::Already(record, _) = world.store.subscribe(account, second).await? else {
            panic!("it was there");
        };
        assert_eq!(record.subscription.id, first.id);
    }
    assert_eq!(world.store.subscriptions(account, None, 10).await?.items.len(), 2);
    assert_eq!(world.store.endpoints(account, None, 10).await?.items.len(), 1);
    Ok(())
}

pub async fn another_wish_at_a_known_url_keeps_its_endpoint_and_secret<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let first = world.new_subscription(URL);
    world.store.subscribe(account, first.clone()).await?;
    let (mut event, mut webinar) = (world.new_subscription(URL), world.new_subscription(URL));
    event.event = EventType::WebinarCreatedSingle;
    webinar.webinar = Some(world.plan(&[]).id.into());
    for new in [event, webinar] {
        let Subscribed::AtKnownEndpoint(record, endpoint) = world.store.subscribe(account, new.clone()).await? else {
            panic!("a new wish at a known URL");
        };
        assert_eq!((record.subscription.id, record.subscription.endpoint), (new.id, first.endpoint));
        assert_eq!((record.subscription.event, record.subscription.webinar), (new.event, new.webinar));
        assert_eq!(secrets(&endpoint), [first.secret.reveal().to_string()]);
    }
    Ok(())
}

pub async fn who_ends_a_subscription_gets_what_was_promised_and_no_more<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.mango_of(account, &["ada"]).await?;
    let new = world.new_subscription(URL);
    world.store.subscribe(account, new.clone()).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    assert!(world.store.unsubscribe(account, new.id).await?);
    assert!(!world.store.unsubscribe(account, new.id).await?, "it ends once");
    assert_eq!(world.store.subscription(account, new.id).await?, None);

    assert_eq!(world.save(account, &plan.next()).await?.fan_outs, []);
    let lease = world.lease().await?;
    let work = world.work(lease).await?;
    assert_eq!(work.fan_outs.iter().map(|work| work.fan_out.id).collect::<Vec<_>>(), [fan_out]);
    assert_eq!(world.names(account, fan_out).await?, ["ada"]);
    Ok(())
}

pub async fn a_switch_is_kept<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let id = world.endpoint(account).await?;
    for (change, switch) in
        [(EndpointChange::Pause, EndpointSwitch::Paused), (EndpointChange::Resume, EndpointSwitch::On)]
    {
        let changed = world.store.change_endpoint(account, id, change, world.now()).await?.expect("there");
        assert_eq!(changed.switch, switch);
        assert_eq!(world.endpoint_now(account, id).await?.switch, switch);
    }
    let unknown = EndpointId::from_bytes([9; 16]);
    assert!(world.store.change_endpoint(account, unknown, EndpointChange::Pause, world.now()).await?.is_none());
    assert!(world.store.endpoint(account, unknown).await?.is_none());
    Ok(())
}

pub async fn subscriptions_and_endpoints_come_oldest_first_in_pages<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mut made = Vec::new();
    for number in 0..5 {
        let new = world.new_subscription(&format!("{URL}{number}"));
        made.push((new.id, new.endpoint));
        world.store.subscribe(account, new).await?;
    }
    for size in 1..=6 {
        let (mut after, mut subscriptions) = (None, Vec::new());
        while subscriptions.is_empty() || after.is_some() {
            let page = world.store.subscriptions(account, after, size).await?;
            assert!(page.items.len() <= size);
            subscriptions.extend(page.items.iter().map(|record| record.subscription.id));
            after = page.next;
        }
        let (mut after, mut endpoints) = (None, Vec::new());
        while endpoints.is_empty() || after.is_some() {
            let page = world.store.endpoints(account, after, size).await?;
            assert!(page.items.len() <= size);
            assert!(page.items.iter().all(|endpoint| endpoint.secrets.len() == 1));
            endpoints.extend(page.items.iter().map(|endpoint| endpoint.id));
            after = page.next;
        }
        assert_eq!(subscriptions.into_iter().zip(endpoints).collect::<Vec<_>>(), made);
    }
    Ok(())
}

pub async fn the_endpoints_of_another_account_are_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let new = world.new_subscription(URL);
    world.store.subscribe(theirs, new.clone()).await?;

    assert_eq!(world.store.subscription(ours, new.id).await?, None);
    assert!(world.store.endpoint(ours, new.endpoint).await?.is_none());
    assert!(!world.store.unsubscribe(ours, new.id).await?);
    let change = world.store.change_endpoint(ours, new.endpoint, EndpointChange::Pause, world.now()).await?;
    assert!(change.is_none());
    assert_eq!(world.store.subscriptions(ours, None, 10).await?.items, []);
    assert!(world.store.endpoints(ours, None, 10).await?.items.is_empty());
    assert_eq!(world.endpoint_now(theirs, new.endpoint).await?.switch, EndpointSwitch::On);
    let own = world.new_subscription(URL);
    let subscribed = world.store.subscribe(ours, own).await?;
    assert!(matches!(subscribed, Subscribed::WithNewEndpoint(..)), "the same URL is another endpoint");
    Ok(())
}

pub async fn an_id_is_given_to_one_subscription_in_an_account_that_exists<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let new = world.new_subscription(URL);
    world.store.subscribe(account, new.clone()).await?;
    let mut same_id = world.new_subscription("https://other.example/");
    same_id.id = new.id;
    let refused = world.store.subscribe(account, same_id).await;
    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");
    assert_eq!(world.store.endpoints(account, None, 10).await?.items.len(), 1, "no endpoint is left of it");
    let refused = world.store.subscribe(AccountId::from_u32(404), new.clone()).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    let kept: Vec<SubscriptionRecord> = world.store.subscriptions(account, None, 10).await?.items;
    assert_eq!(kept.iter().map(|record| record.subscription.id).collect::<Vec<SubscriptionId>>(), [new.id]);
    Ok(())
}

fn secrets(endpoint: &Endpoint) -> Vec<String> {
    endpoint.secrets.iter().map(|secret| secret.secret.reveal().to_string()).collect()
}
