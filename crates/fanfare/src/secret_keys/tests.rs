use std::fs;
use std::os::unix::fs::PermissionsExt;

use inbox::key_file::parse;

use super::*;

fn database(directory: &tempfile::TempDir) -> Database {
    Database::Sqlite(directory.path().join("fanfare.db"))
}

#[test]
fn keys_stand_on_lines_or_between_commas_with_remarks() {
    let [first, second] = [1, 2].map(|number| SealingKey::from_bytes([number; 32]));
    let text = format!("# ours\n{} # since May\n\n {},\r\n", *first.reveal(), *second.reveal());
    let ids = |text: &str| parse(text).map(|keys| keys.iter().map(SealingKey::id).collect::<Vec<_>>());
    assert_eq!(ids(&text).unwrap(), [first.id(), second.id()]);
    assert_eq!(ids(&format!("{},{}", *second.reveal(), *first.reveal())).unwrap(), [second.id(), first.id()]);
}

#[test]
fn what_is_no_key_is_told_by_its_place_and_not_repeated() {
    let good = new_key().reveal();
    for (text, place) in [("", "no key"), ("# nothing", "no key"), (&format!("{},fkey_c2hvcnQ=", *good), "key 2")] {
        let told = format!("{:#}", parse(text).unwrap_err());
        assert!(told.contains(place) && told.contains("fanfare secrets new-key"), "{told}");
        assert!(!told.contains("c2hvcnQ") && !told.contains(&good[5..]), "{told}");
    }
}

#[test]
fn the_file_of_keys_is_made_once_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (vault, made) = KeySource::BesideDatabase.vault(&database(&directory)).unwrap();
    let path = made.expect("made just now");
    assert_eq!(path, directory.path().join("fanfare.db.key"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left of its making");
    let before = fs::read(&path).unwrap();
    let (again, made) = KeySource::BesideDatabase.vault(&database(&directory)).unwrap();
    assert_eq!((again.key_in_use(), made), (vault.key_in_use(), None));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn processes_that_start_at_once_agree_on_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let ids = std::thread::scope(|scope| {
        let start = || scope.spawn(|| KeySource::BesideDatabase.vault(&database(&directory)).unwrap());
        let started: Vec<_> = (0..8).map(|_| start()).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(ids.iter().all(|(vault, _)| vault.key_in_use() == ids[0].0.key_in_use()));
    assert_eq!(ids.iter().filter(|(_, made)| made.is_some()).count(), 1);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let missing = KeySource::File(directory.path().join("missing.key"));
    let told = format!("{:#}", missing.vault(&database(&directory)).unwrap_err());
    assert!(told.contains("cannot read the key file") && told.contains("missing.key"), "{told}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn on_postgresql_no_key_is_made_but_one_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let database: Database = "postgres://ann@db/fanfare".parse().unwrap();
    let told = format!("{:#}", KeySource::BesideDatabase.vault(&database).unwrap_err());
    assert!(told.contains("every node") && told.contains("fanfare secrets new-key"), "{told}");
    assert!(KeySource::BesideDatabase.vault_to_read(&database).is_ok(), "to look at what is no secret takes none");
    let (path, key) = (directory.path().join("fanfare.key"), new_key());
    fs::write(&path, key.reveal().as_bytes()).unwrap();
    let (vault, made) = KeySource::File(path).vault(&database).unwrap();
    assert_eq!((vault.key_in_use(), made), (key.id(), None));
}
