use nix::sys::signal::Signal;

use crate::world::World;

#[test]
fn everyone_of_the_demo_gets_both_webhooks_once_and_verified() {
    let ran = World::new().run(&["demo", "--participants", "50", "--exit", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let counts = ran.json();
    for (name, count) in [
        ("participants", 50),
        ("events", 2),
        ("sent", 100),
        ("received", 100),
        ("verified", 100),
        ("stored", 100),
        ("duplicates", 0),
        ("lost", 0),
    ] {
        assert_eq!(counts[name], count, "{name} in {counts}");
    }
    assert!(counts["seconds"].as_f64() > Some(0.0) && counts["cpuMicrosPerDelivery"].as_f64() > Some(0.0), "{counts}");
    assert_eq!(counts.as_object().unwrap().len(), 11, "{counts}");
}

#[test]
fn the_demo_tells_its_story_beside_the_result() {
    let world = World::new();
    let ran = world.run(&["demo", "--participants", "3", "--exit"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("POST /api/v1/integration/webhook/webhook"), "{ran:?}");
    assert!(ran.stdout.contains("3 participants × 2 events"), "{ran:?}");
    assert_eq!(std::fs::read_dir(world.path(".")).unwrap().count(), 0, "it left something behind");
}

#[test]
fn without_exit_the_dashboard_stays_open_until_it_is_told_to_stop() {
    let world = World::new();
    let demo =
        world.start(&["demo", "--participants", "3", "--listen", "127.0.0.1:0"], "the newest of their 6 deliveries");
    let (status, page) = demo.request("GET /", &[], b"");
    assert!(status == 200 && page.contains("Introduction to Digital Marketing"), "{page}");
    demo.signal(Signal::SIGINT);
    let (code, told) = demo.wait();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(std::fs::read_dir(world.path(".")).unwrap().count(), 0, "it left something behind");
}

#[test]
fn a_demo_that_is_stopped_early_leaves_nothing_behind() {
    let world = World::new();
    let demo = world.start(&["demo", "--participants", "1000000", "--listen", "127.0.0.1:0"], "1  An account");
    demo.signal(Signal::SIGTERM);
    let (code, told) = demo.wait();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("stopped before the end"), "{told}");
    assert_eq!(std::fs::read_dir(world.path(".")).unwrap().count(), 0, "it left something behind");
}
