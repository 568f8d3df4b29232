//! A house that has been lived in: a database with rows in every table, made by a server that was asked for each; and how
//! two houses compare.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

use crate::world::{Serving, World};

pub(super) const PATH: &str = "/in/tm-5e0f6ad1c9b847239f3e2d1c0b5a";
pub(super) const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const SETTINGS: &str = "public-url = \"https://hooks.example\"\n\n\
    [[source]]\nname = \"tagmango\"\npreset = \"tagmango\"\npath = \"tm-5e0f6ad1c9b847239f3e2d1c0b5a\"\n\n\
    [[handler]]\nname = \"crm\"\ntype = \"exec\"\ncommand = [\"sh\", \"-c\", \"exit 65\"]\n\n\
    [[handler]]\nname = \"dates\"\ntype = \"calendar\"\n";
const PEOPLE: &str = "name,email,phone,timezone,\"favourite, colour\"\n\
    \"Asha \"\"A\"\" Rao\",asha@example.com,+91 98765 43210,Asia/Kolkata,blue\n\
    Noah,NOAH@example.com,,,\nहेमा,hema@example.com,,+05:30,\n";
const OWN: &str = "src_00000000000000000000000001";
/// More than one chunk of the table of people.
const CROWD: usize = 10_500;
/// Each try looks anew, so this is a minute and more.
const TRIES_MAX: usize = 1_000;

/// Serves a new database for a while and stops it again.
pub(super) fn lived_in() -> World {
    let world = World::new();
    let (_, key) = world.create_account();
    world.run(&["account", "create", "--name", "Second", "--timezone", "UTC"]);
    let settings = format!("[inbox]\naccount = \"{}\"\n{SETTINGS}", account(&world));
    let settings = world.write("inbox.toml", settings);
    let serving = world.serve_with(&["--config", &settings, "--allow-target", "127.0.0.0/8"]);
    announce(&world, &serving, &key);
    receive(&world, &serving);
    order(&world, &serving, &key);
    stop(serving);
    years_pass(&world.path("fanfare.db"));
    assert_filled(&world.path("fanfare.db"));
    world
}

/// What a server comes to by the days only: endpoints in every state of health, a notice of one, what expires or ends, an
/// erasure that is still searching, what only other senders say; and more calendars and large bodies than fit one page.
fn years_pass(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let sql = "insert into notice select account, randomblob(16), 'endpoint.disabled', endpoint, '{}', 1, 2 from endpoint;
        insert into notice_delivery (account, notice, endpoint, due_at, attempts, last_outcome, last_at)
            select n.account, n.notice, e.endpoint, 2, 1, 500, 1 from notice as n join endpoint as e using (account);
        insert into message_expiry select account, 1 from account;
        update message set emptied = 'expired', headers = '', body = x'' where number = 1;
        update message set message_id = 'id', fan_out = randomblob(16), fan_out_index = 1, fan_out_total = 2 where number = 2;
        update run set state = 0, due_at = 5 where number = 3 and state = 3;
        update api_key set expires_at = 7, revoked_at = 6 where account = (select min(account) from account);
        update attempt_failure set dns = 1, tls = 2;
        update series set cancelled_at = 3;
        update endpoint set rate_per_minute = 60, burst = 1 where url like '%refuses';
        update replay set since = 1, endpoint = (select endpoint from endpoint limit 1) where scope = 'failed';
        insert into erasure (account, erasure, state, email, phone, memberships, retries, messages, last_number, requested_at)
            select account, randomblob(16), 'searching', 'a@example.com', '+15550100', 1, 2, 3, 2, 4 from account;
        insert into agenda select account, iif(participant % 2, 'É', 'e') || email, 'dates', 'c', 1, 1, '[]'
            from participant where participant % 8 = 0;
        insert into message (account, source, dedupe_key, digest, headers, received_at, body)
            select m.account, m.source, randomblob(9), m.digest, m.headers, p.participant, randomblob(120000)
            from message as m join participant as p on p.participant <= 50 where m.number = 3;";
    let health =
        ["'open', open_until = 2, failing_since = 1", "'gone', ended_since = 1", "'slow_start', slow_window = 4"];
    let lanes = health.iter().zip([OWN, "refuses", "notices"]).map(|(health, url)| {
        format!(
            "update lane set per_minute = 7, health = {health} where endpoint in
             (select endpoint from endpoint where url like '%{url}');"
        )
    });
    connection.execute_batch(&lanes.chain([sql.to_owned()]).collect::<String>()).unwrap();
}

pub(super) fn account(world: &World) -> String {
    let first = world.run(&["account", "list", "--json"]);
    let first: Value = serde_json::from_str(first.stdout.lines().next().unwrap()).unwrap();
    first["account"].as_str().or(first["id"].as_str()).unwrap().to_owned()
}

pub(super) fn stop(serving: Serving) {
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.wait().0, Some(0));
}

/// People, a series in two versions, late registrants, deliveries that succeed and that fail, a replay of each kind.
fn announce(world: &World, serving: &Serving, key: &str) {
    let (mango, crowd) = (serving.create_mango(key), serving.create_mango(key));
    let list = world.write("people.csv", PEOPLE);
    let mut many = "name,email\n".to_owned();
    (0..CROWD).for_each(|number| many.push_str(&format!("Person {number},person{number}@example.com\n")));
    let many = world.write("crowd.csv", many);
    let account = account(world);
    for (mango, list) in [(&mango, &list), (&crowd, &many)] {
        let ran = world.run(&["import", "--account", &account, "--mango", mango, list]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let register = |path: &str| {
        let wish = json!({ "hookUrl": serving.url(path), "event": "webinar.created.recurring" });
        serving.call(key, "/api/v1/integration/webhook/webhook", &wish)["result"]["signingSecret"].clone()
    };
    // One accepts, one refuses whatever comes.
    let secret = register(&format!("/in/{OWN}"));
    register("/in/refuses");
    serving.call(key, "/api/v1/sources", &json!({ "id": OWN, "name": "Own", "keys": [secret] }));
    let webinar = json!({
        "title": "Clinic ✓", "link": "https://meet.example/clinic", "timezone": "Asia/Kolkata",
        "start": "2030-03-15T15:30", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=3",
        "mangoes": [mango], "lateJoiners": "announce",
    });
    let saved = serving.call(key, "/api/v1/webinars", &webinar);
    let event = saved["event"]["id"].as_str().unwrap();
    let id = saved["id"].as_str().or(saved["webinar"]["id"].as_str()).unwrap_or_else(|| panic!("{saved}"));
    let registration = json!({ "name": "Late", "email": "late@example.com" }).to_string();
    let headers = [("x-api-key", key), ("content-type", "application/x-ndjson")];
    let path = format!("POST /api/v1/webinars/{id}/registrations");
    let (status, answer) = serving.request(&path, &headers, registration.as_bytes());
    assert!(status < 300, "{status} {answer}");
    wait(|| match deliveries(world, event).len() {
        6.. => Ok(()),
        fewer => Err(format!("{fewer} deliveries")),
    });
    let one = deliveries(world, event).into_iter().find(|one| one["status"] == "delivered").unwrap();
    serving.call(key, &format!("/api/v1/deliveries/{}/replay", one["id"].as_str().unwrap()), &json!({}));
    let scope = json!({ "scope": "failed", "event": event });
    serving.call(key, "/api/v1/replays", &scope);
    let scope = json!({ "scope": "all", "event": event, "perMinute": 1 });
    serving.call(key, "/api/v1/replays", &scope);
}

fn deliveries(world: &World, event: &str) -> Vec<Value> {
    let ran = world.run(&["deliveries", "list", "--account", &account(world), "--event", event, "--json"]);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wait(mut look: impl FnMut() -> Result<(), String>) {
    let mut seen = String::new();
    let is_so = (0..TRIES_MAX).any(|_| look().map_err(|other| seen = other).is_ok());
    assert!(is_so, "{seen}");
}

/// Messages, one of them twice; runs that are done and runs that are given up.
fn receive(world: &World, serving: &Serving) {
    for person in [1, 2, 2, 3] {
        let (status, answer) = serving.request(&format!("POST {PATH}"), &JSON, payload(person).as_bytes());
        assert_eq!(status, 200, "{answer}");
    }
    let account = account(world);
    wait(|| {
        let ran = world.run(&["inbox", "handlers", "--account", &account, "--json"]);
        let mut all = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let messages = world.run(&["inbox", "list", "--account", &account, "--json"]).stdout.lines().count();
        let has_ended =
            |handler: Value| handler["parked"].as_u64().max(handler["done"].as_u64()) == Some(messages as u64);
        if all.all(has_ended) { Ok(()) } else { Err(format!("{ran:?}")) }
    });
}

pub(super) fn payload(person: usize) -> String {
    json!({
        "name": "Asha", "email": format!("asha{person}@example.com"), "phone": null, "timezone": "+05:30",
        "callList": [{
            "webinar": "Clinic", "webinarId": "634fc35ddaf58580e2418c40", "webinarLink": "https://meet.example/abc",
            "webinarFromTime": "2030-03-15T10:00:00.000Z", "webinarToTime": "2030-03-15T11:00:00.000Z",
            "webinarFromTimeInCreatorTimezone": "2030-03-15T15:30:00.000Z",
            "webinarToTimeInCreatorTimezone": "2030-03-15T16:30:00.000Z", "creatorTimezone": "+05:30",
        }],
        "mangoes": "Gold",
    })
    .to_string()
}

/// What owners do: a notice's subscription, retention, an erasure, a source with keys.
fn order(world: &World, serving: &Serving, key: &str) {
    let account = account(world);
    let kept = world.run(&["account", "retention", "--account", &account, "--bodies", "9"]);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    let erased = world.run(&["participants", "erase", "--account", &account, "--email", "hema@example.com"]);
    assert_eq!(erased.code, Some(0), "{erased:?}");
    let wish = json!({ "url": serving.url("/in/notices"), "event": "endpoint.disabled" });
    serving.call(key, "/api/v1/subscriptions", &wish);
    let (_, endpoints) = serving.request("GET /api/v1/endpoints", &[("x-api-key", key)], b"");
    let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
    let endpoint = endpoints["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{endpoints}"));
    serving.call(key, &format!("/api/v1/endpoints/{endpoint}/rotate-secret"), &json!({}));
}

/// A test of copies is no better than what there is to copy.
fn assert_filled(path: &Path) {
    let all = rows(path);
    let empty: Vec<&String> = all.iter().filter(|(_, rows)| rows.is_empty()).map(|(name, _)| name).collect();
    assert_eq!(empty, ["message_seen_sweep"], "sweeps come later");
    let connection = Connection::open(path).unwrap();
    let mut unused = Vec::new();
    for (table, rows) in all.iter().filter(|(_, rows)| !rows.is_empty()) {
        for (at, column) in columns(&connection, table).iter().enumerate() {
            if rows.iter().all(|row| row[at] == Cell::Null) {
                unused.push(format!("{table}.{column}"));
            }
        }
    }
    assert_eq!(unused, [""; 0]);
}

/// All rows of all tables, but for what a copy makes anew: leases and their epochs, migrations, who serves.
pub(super) fn rows(path: &Path) -> BTreeMap<String, Vec<Vec<Cell>>> {
    let connection = Connection::open(path).unwrap();
    let sql = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name not in
               ('migration', 'node')";
    let mut statement = connection.prepare(sql).unwrap();
    let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all: BTreeMap<_, _> =
        tables.into_iter().map(|table| (table.clone(), rows_of(&connection, &table))).collect();
    let sequence = "select name, seq from sqlite_sequence order by name";
    all.insert("sqlite_sequence".to_owned(), list(&connection, sequence));
    all
}

fn rows_of(connection: &Connection, table: &str) -> Vec<Vec<Cell>> {
    let columns = columns(connection, table);
    let places: Vec<String> = (1..=columns.len()).map(|nth| nth.to_string()).collect();
    list(connection, &format!("select {} from {table} order by {}", columns.join(", "), places.join(", ")))
}

fn columns(connection: &Connection, table: &str) -> Vec<String> {
    let sql = "select name from pragma_table_info(?1) where name not in ('owner', 'lease_until')
               and not (name = 'epoch' and ?1 in ('lane', 'handler'))";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn list(connection: &Connection, sql: &str) -> Vec<Vec<Cell>> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}
