use crate::world::World;

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_meant() {
    let world = World::new();
    let unknown_key = world.write("unknown.toml", "lisen = \"127.0.0.1:1\"\n");
    let wrong_value = world.write("wrong.toml", "listen = \"here\"\n");
    for (arguments, told) in [
        (&["sreve"][..], "'serve'"),
        (&[], "Usage"),
        (&["serve", "--database", "postgres://localhost"], "names no database"),
        (&["serve", "--listen", "8080"], "such as 127.0.0.1:8080"),
        (&["serve", "--allow-target", "0.0.0.0/0"], "covers every address"),
        (&["serve", "--only", "sender"], "provider"),
        (&["serve", "--config", &unknown_key], "did you mean \"listen\""),
        (&["serve", "--config", &wrong_value], "line 1"),
        (&["serve", "--config", "missing.toml"], "missing.toml"),
        (&["account", "create", "--name", "Acme"], "--timezone"),
        (&["account", "create", "--name", "Acme", "--timezone", "Kolkata"], "Asia/Kolkata"),
        (&["account", "create", "--name", "", "--timezone", "UTC"], "give it 1 to 100"),
        (&["import", "--mango", "gold", "members.csv"], "24 hexadecimal digits"),
        (&["demo", "--participants", "0"], "1.."),
        (&["deliveries", "list", "--event", "evt_1"], "an event id"),
        (&["deliveries", "list", "--limit", "0"], "1.."),
        (&["deliveries", "list", "--json", "-o", "csv"], "cannot be used with"),
    ] {
        world.run(arguments).failed_with(2, &[told]);
    }
}

#[test]
fn help_and_version_are_results_and_exit_with_0() {
    let world = World::new();
    for (arguments, told) in [
        (&["--help"][..], "Start with: fanfare demo"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["serve", "--help"], "FANFARE_LISTEN"),
        (&["import", "--help"], "name,email,phone,timezone"),
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(told), "{told:?} is not in {ran:?}");
    }
}

#[test]
fn an_option_wins_over_the_environment() {
    let world = World::new();
    let with_environment = |arguments: &[&str]| {
        world.run_with(crate::world::BINARY, arguments, |command| command.env("FANFARE_DATABASE", "mysql://x/y"))
    };
    with_environment(&["account", "list"]).failed_with(2, &["mysql: is no kind of database we know"]);
    with_environment(&["account", "list", "--database", "here.db"]).failed_with(1, &["there is no database here.db"]);
}
