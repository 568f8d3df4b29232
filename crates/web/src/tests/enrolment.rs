//! Member lists over HTTP.

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use serde_json::json;

use super::world::World;

#[tokio::test]
async fn good_lines_are_kept_and_bad_ones_told_by_number() {
    let world = World::new().await;
    let mango = world.mango_of(2).await;
    let path = format!("/api/v1/mangoes/{mango}/members");
    let list = "email,name,timezone,city\nP1@example.com,Person 1,+05:30,\np2@example.com,Other,+05:30,\n\
                not an address,Eve,Nowhere,\nnew@example.com,New,,Pune\n";
    let report = world.post_list(&path, "text/csv; charset=utf-8", list).await.is(200);
    assert_eq!(report["lines"], 4);
    assert_eq!((&report["added"], &report["updated"]), (&json!(1), &json!(1)));
    assert_eq!((&report["unchanged"], &report["rejected"]), (&json!(1), &json!(1)));
    assert_eq!(report["errors"][0]["line"], 4);
    assert_eq!(report["errors"][0]["errors"][0]["pointer"], "/email");
    assert_eq!(report["errors"][0]["errors"][1]["pointer"], "/timezone");

    let person = world.get("/api/v1/participants/3").await.is(200);
    assert_eq!((&person["name"], &person["timezone"]), (&json!("New"), &json!(null)));
    assert_eq!(person["attributes"], json!({"city": "Pune"}));
}

#[tokio::test]
async fn people_may_be_registered_for_a_series_itself() {
    let world = World::new().await;
    let mango = world.mango_of(1).await;
    let saved = world.weekly_series(&mango).await;
    let path = format!("/api/v1/webinars/{}/registrations", saved["id"].as_str().unwrap());
    let list = "{\"name\":\"Asha\",\"email\":\"asha@example.com\",\"phone\":9876543210}\n";
    assert_eq!(world.post_list(&path, "application/x-ndjson", list).await.is(200)["added"], 1);
    let path = format!("/api/v1/webinars/{}?dryRun=true", saved["id"].as_str().unwrap());
    assert_eq!(world.call_with("PATCH", &path, json!({"title": "New"})).await.is(200)["audience"], 2);
}

#[tokio::test]
async fn a_member_leaves_once_and_is_no_longer_counted() {
    let world = World::new().await;
    let mango = world.mango_of(2).await;
    let path = format!("/api/v1/mangoes/{mango}");
    assert_eq!(world.get(&path).await.is(200)["members"], 2);
    world.call("DELETE", &format!("{path}/members/1")).await.is(204);
    world.call("DELETE", &format!("{path}/members/1")).await.refuses(404, &[]);
    world.call("DELETE", &format!("{path}/members/9")).await.refuses(404, &[]);
    let shown = world.get(&path).await.is(200);
    assert_eq!(shown, world.get("/api/v1/mangoes").await.is(200)["data"][0]);
    assert_eq!(shown["members"], 1);

    let saved = world.weekly_series(&mango).await;
    let path = format!("/api/v1/webinars/{}/registrations", saved["id"].as_str().unwrap());
    world.post_list(&path, "text/csv", "name,email\nPerson 1,p1@example.com\n").await.is(200);
    world.call("DELETE", &format!("{path}/1")).await.is(204);
    world.call("DELETE", &format!("{path}/1")).await.refuses(404, &[]);
    let told = world.post_list(&format!("{path}?dryRun=true"), "text/csv", "name,email\n").await.refuses(400, &[]);
    assert!(told.contains("dryRun is not known here"), "{told}");
}

#[tokio::test]
async fn who_registers_late_is_told_at_once_where_the_series_says_so() {
    let world = World::new().await;
    world.receiver().await;
    let mango = world.mango_of(2).await;
    let mut draft = super::world::weekly(&mango);
    draft["lateJoiners"] = json!("announce");
    let saved = world.post("/api/v1/webinars", draft).await.is(201);
    let series = format!("/api/v1/webinars/{}", saved["id"].as_str().unwrap());
    let list = "name,email\nPerson 1,p1@example.com\nLate,late@example.com\n";
    let path = format!("{series}/registrations");
    assert_eq!(world.post_list(&path, "text/csv", list).await.is(200)["added"], 2);

    let events = world.get("/api/v1/events").await.is(200);
    assert_eq!(events["data"].as_array().unwrap().len(), 2, "p1 knew already, as a member");
    assert_eq!(
        (&events["data"][0]["trigger"], &events["data"][0]["webinar"]["version"]),
        (&json!("created"), &json!(1))
    );
    world.post_list(&path, "text/csv", list).await.is(200);
    world.call("DELETE", &series).await.is(200);
    world.post_list(&path, "text/csv", "name,email\nToo late,toolate@example.com\n").await.is(200);
    assert_eq!(world.get("/api/v1/events").await.is(200)["data"].as_array().unwrap().len(), 3, "no news, no event");
}

#[tokio::test]
async fn a_list_longer_than_a_batch_is_kept_whole() {
    let world = World::new().await;
    let mango = world.mango_of(2_345).await;
    let mangoes = world.get("/api/v1/mangoes").await.is(200);
    assert_eq!(mangoes["data"][0]["members"], 2_345);
    assert_eq!(mangoes["data"][0]["id"], json!(mango));
}

#[tokio::test]
async fn a_list_in_another_form_or_without_columns_is_refused() {
    let world = World::new().await;
    let mango = world.mango_of(0).await;
    let path = format!("/api/v1/mangoes/{mango}/members");
    world.post_list(&path, "application/json", "[]").await.refuses(415, &[]);
    let detail = world.post_list(&path, "text/csv", "a@example.com,Asha\n").await.refuses(400, &[]);
    assert!(detail.contains("\"name,email,phone,timezone\""), "{detail}");
    world.post_list("/api/v1/mangoes/65f0c0ffee0000000000a001/members", "text/csv", "").await.refuses(404, &[]);
}

#[tokio::test]
async fn a_list_that_breaks_off_says_what_was_kept() {
    let world = World::new().await;
    let mango = world.mango_of(0).await;
    let whole: String = (1..=1_500).map(|n| format!("N,n{n}@example.com\n")).collect();
    let pieces = [Ok(Bytes::from(format!("name,email\n{whole}"))), Err(std::io::Error::other("cut"))];
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let request = Request::post(format!("/api/v1/mangoes/{mango}/members")).header("x-api-key", &world.key);
    let answer = world.send(request.header("content-type", "text/csv").body(body).unwrap()).await;
    let detail = answer.refuses(400, &[]);
    assert!(detail.contains("1000 people were kept"), "{detail}");
}
