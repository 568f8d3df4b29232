use wire::{Signer, SigningSecret, WebhookId, headers};

use crate::world::{Serving, World};

const BODY: &[u8] = br#"{"name":"Asha \u001b[2J","callList":[]}"#;

/// Posts the body as a sender with this secret does; the status answered.
fn send(serving: &Serving, path: &str, secret: &SigningSecret) -> u16 {
    send_body(serving, path, secret, "msg_1", BODY)
}

/// Posts a body under an id; the status answered.
pub(crate) fn send_body(serving: &Serving, path: &str, secret: &SigningSecret, id: &str, body: &[u8]) -> u16 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let signer = Signer::new([secret.clone()]).unwrap();
    let signature = signer.sign(WebhookId::new(id).unwrap(), now.try_into().unwrap(), body);
    let timestamp = now.to_string();
    let signed = [
        (headers::WEBHOOK_ID, id),
        (headers::WEBHOOK_TIMESTAMP, timestamp.as_str()),
        (headers::WEBHOOK_SIGNATURE, signature.as_str()),
        ("content-type", "application/json"),
    ];
    serving.request(&format!("POST {path}"), &signed, body).0
}

#[test]
fn what_a_source_made_in_the_terminal_accepts_is_listed_and_shown() {
    let world = World::new();
    world.create_account();
    let serving = world.serve();
    let secret = SigningSecret::from_random([7; 32]);
    let created =
        world.run(&["inbox", "source", "create", "--name", "TagMango", "--key", &secret.reveal(), "--json"]).json();
    let path = created["path"].as_str().unwrap();

    assert_eq!([send(&serving, path, &secret), send(&serving, path, &secret)], [200, 200]);
    assert_eq!(send(&serving, path, &SigningSecret::from_random([8; 32])), 401);

    let listed = world.run(&["inbox", "list", "--json"]).json();
    assert_eq!((&listed["messageId"], &listed["duplicates"]), (&"msg_1".into(), &1.into()), "{listed}");
    let shown = world.run(&["inbox", "show", listed["id"].as_str().unwrap(), "--json"]).json();
    assert_eq!(shown["body"].as_str().unwrap().as_bytes(), BODY);
    assert_eq!(shown["headers"]["content-type"], "application/json");
    let sources = world.run(&["inbox", "source", "list", "--json"]);
    assert_eq!(sources.json(), created);
    assert!(!sources.stdout.contains(secret.reveal().as_str()));
}

#[test]
fn a_source_made_before_its_key_is_known_says_what_comes_next_and_accepts_once_it_has_one() {
    let world = World::new();
    world.create_account();
    let serving = world.serve();
    let created = world.run(&["inbox", "source", "create", "--name", "Early"]);
    let path = created.stdout.trim_end();
    let id = path.strip_prefix("/in/").unwrap();
    assert!(created.stderr.contains("signingSecret"), "{created:?}");
    assert!(created.stderr.contains(&format!("fanfare inbox source keys {id} --key whsec_…")), "{created:?}");
    world.run(&["inbox", "source", "keys", id]).failed_with(2, &["--key"]);

    let secrets = [7, 8].map(|byte| SigningSecret::from_random([byte; 32]));
    let revealed = secrets.each_ref().map(|secret| secret.reveal().to_string());
    let given = world.run(&["inbox", "source", "keys", id, "--key", &revealed[0], "--key", &revealed[1], "--json"]);
    assert_eq!(given.json()["keyCount"], 2);
    assert_eq!(secrets.each_ref().map(|secret| send(&serving, path, secret)), [200, 200]);
    let unknown = ["inbox", "source", "keys", "src_01jw3zqk8n7v2t0d5h9rxbmc4e", "--key", &revealed[0]];
    world.run(&unknown).failed_with(1, &["there is no source"]);
}

#[test]
fn an_empty_list_is_no_data_but_a_word_to_the_person() {
    let world = World::new();
    world.create_account();
    for (command, word) in [(["inbox", "list"], "no message yet"), (["deliveries", "list"], "no delivery matches")] {
        let ran = world.run(&command);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.stderr.contains(word), "{ran:?}");
    }
}

#[test]
fn a_wrong_key_is_refused_without_being_repeated() {
    let world = World::new();
    world.create_account();
    let ran = world.run(&["inbox", "source", "create", "--name", "TagMango", "--key", "whsec_c2hvcnQ="]);
    ran.failed_with(1, &["key 1", "24 to 64"]);
    assert!(!ran.stderr.contains("c2hvcnQ"), "{ran:?}");
}

#[test]
fn a_source_may_be_of_another_sender_and_take_its_keys_as_that_one_writes_them() {
    let world = World::new();
    world.create_account();
    let serving = world.serve();
    let made = world.run(&["inbox", "source", "create", "--name", "Repo", "--preset", "github", "--json"]).json();
    assert_eq!((&made["preset"], &made["keyCount"]), (&"github".into(), &0.into()));
    let (id, path) = (made["id"].as_str().unwrap(), made["path"].as_str().unwrap());
    world.run(&["inbox", "source", "keys", id, "--key", "It's a Secret to Everybody", "--json"]).json();

    // GitHub's own example.
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("x-hub-signature-256", signature), ("x-github-delivery", "72d3162e"), ("x-github-event", "ping")];
    let post = |body: &[u8]| serving.request(&format!("POST {path}"), &headers, body).0;
    assert_eq!([post(b"Hello, World!"), post(b"Hello, World!"), post(b"Hello, World?")], [200, 200, 401]);
    let listed = world.run(&["inbox", "list", "--json"]).json();
    assert_eq!((&listed["messageId"], &listed["duplicates"]), (&"72d3162e".into(), &1.into()));
    assert_eq!(listed["headers"]["x-github-event"], "ping");
    assert_eq!(listed["headers"].get("x-hub-signature-256"), None);

    let typo = world.run(&["inbox", "source", "create", "--name", "x", "--preset", "githab"]);
    typo.failed_with(2, &["is no preset", "github"]);
    let more = world.run(&["inbox", "source", "create", "--name", "x", "--preset", "tagmango"]);
    more.failed_with(2, &["settings file"]);
}
