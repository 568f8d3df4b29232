use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use nix::unistd::Uid;

use crate::world::{BINARY, World};

/// A user without rights, for tests that run as root; to root nothing is read-only.
const NOBODY: u32 = 65_534;

#[test]
fn a_second_server_on_the_same_file_is_refused_and_told_what_to_do() {
    let world = World::new();
    let _serving = world.serve();
    let second = world.run(&["serve", "--listen", "127.0.0.1:0"]);
    second.failed_with(1, &["another server is using ./fanfare.db", "--database sqlite:PATH"]);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_with_its_name() {
    let world = World::new();
    world.create_account();
    let file = world.path("fanfare.db");
    fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(world.path("fanfare.db.key"), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(world.path("."), Permissions::from_mode(0o777)).unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0"];
    let ran = if Uid::effective().is_root() {
        let copy = world.path("fanfare");
        fs::copy(BINARY, &copy).unwrap();
        world.run_with(copy, &arguments, |command| command.uid(NOBODY))
    } else {
        world.run(&arguments)
    };
    ran.failed_with(1, &["cannot write ./fanfare.db", "permissions"]);
}

#[test]
fn a_file_of_another_owner_is_refused_with_its_name() {
    let world = World::new();
    world.create_account();
    fs::set_permissions(world.path("."), Permissions::from_mode(0o777)).unwrap();
    let copy = world.path("fanfare");
    fs::copy(BINARY, &copy).unwrap();
    fs::set_permissions(world.path("fanfare.db.key"), Permissions::from_mode(0o644)).unwrap();
    let is_root = Uid::effective().is_root();
    if !is_root {
        // Who cannot give a file away can lock himself out.
        fs::set_permissions(world.path("fanfare.db"), Permissions::from_mode(0o000)).unwrap();
    }
    let as_other = |arguments: &[&str]| {
        world.run_with(&copy, arguments, |command| if is_root { command.uid(NOBODY) } else { command })
    };
    as_other(&["serve", "--listen", "127.0.0.1:0"]).failed_with(1, &["cannot write", "fanfare.db", "owner"]);
    as_other(&["account", "list"]).failed_with(1, &["cannot read ./fanfare.db", "may you read it"]);
}

#[test]
fn commands_that_look_leave_an_older_schema_alone() {
    let world = World::new();
    world.create_account();
    let connection = rusqlite::Connection::open(world.path("fanfare.db")).unwrap();
    connection.pragma_update(None, "user_version", 0).unwrap();
    for command in [
        &["account", "list"][..],
        &["deliveries", "list"],
        &["inbox", "list"],
        &["audit", "list"],
        &["notices", "list"],
        &["replay", "list"],
        &["participants", "show", "--number", "1"],
    ] {
        world.run(command).failed_with(1, &["has schema 0", "fanfare serve of this version brings it up to date"]);
    }
}

#[test]
fn a_schema_of_another_build_is_refused_with_its_mend() {
    let world = World::new();
    world.create_account();
    let connection = rusqlite::Connection::open(world.path("fanfare.db")).unwrap();
    connection.execute_batch("update migration set digest = zeroblob(32)").unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["account", "list"]] {
        world.run(command).failed_with(1, &["another build of Fanfare", "begin with a new file"]);
    }
}

#[test]
fn a_copy_is_made_beside_a_server_and_overwrites_nothing() {
    let world = World::new();
    let (account, _) = world.create_account();
    let _serving = world.serve();
    let ran = world.run(&["backup", "--to", "copy.db", "--json"]);
    assert_eq!(ran.json()["file"], "copy.db", "{ran:?}");
    world.run(&["backup", "--to", "copy.db"]).failed_with(1, &["cannot write copy.db", "name a new file"]);
    let listed = world.run(&["account", "list", "--json", "--database", "copy.db"]);
    assert_eq!(listed.json()["id"].as_str().or(listed.json()["account"].as_str()), Some(&*account), "{listed:?}");
}

#[test]
fn a_directory_that_is_not_there_is_refused_with_its_name() {
    let world = World::new();
    let ran = world.run(&["serve", "--database", "sqlite:nowhere/fanfare.db", "--listen", "127.0.0.1:0"]);
    ran.failed_with(1, &["cannot write nowhere/fanfare.db"]);
}

#[test]
fn a_schema_newer_than_the_binary_is_refused_and_left_alone() {
    let world = World::new();
    world.create_account();
    let connection = rusqlite::Connection::open(world.path("fanfare.db")).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    let told = ["schema 999", "use the newer version"];
    world.run(&["serve", "--listen", "127.0.0.1:0"]).failed_with(1, &told);
    world.run(&["account", "list"]).failed_with(1, &told);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(found, 999);
}

#[test]
fn looking_at_a_database_that_is_not_there_does_not_make_one() {
    let world = World::new();
    for command in [&["account", "list"][..], &["deliveries", "list"], &["inbox", "list"]] {
        world.run(command).failed_with(1, &["there is no database ./fanfare.db", "--database"]);
    }
    assert!(!world.path("fanfare.db").exists());
}

#[test]
fn a_settings_file_says_where_the_database_is() {
    let world = World::new();
    let config = world.write("fanfare.toml", "database = \"sqlite:elsewhere.db\"\n");
    let ran = world.run(&["account", "create", "--name", "Acme", "--timezone", "UTC", "--config", &config]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(world.path("elsewhere.db").exists() && !world.path("fanfare.db").exists());
}

#[test]
fn a_database_is_compacted_by_nobody_but_who_has_it_alone() {
    let world = World::new();
    world.create_account();
    let serving = world.serve();
    world.run(&["compact"]).failed_with(1, &["another server is using", "stop it"]);
    drop(serving);
    let sizes = world.run(&["compact", "--json"]).json();
    assert!(sizes["bytesAfter"].as_u64() <= sizes["bytesBefore"].as_u64(), "{sizes}");
    assert_eq!(world.run(&["account", "list", "--json"]).stdout.lines().count(), 1, "nothing is lost");
}
