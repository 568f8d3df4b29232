use super::*;

const CERTIFICATE: &str = "?sslmode=verify-full&sslrootcert=";

#[test]
fn a_database_is_a_file_in_any_of_three_spellings() {
    for text in ["sqlite:a/b.db", "sqlite://a/b.db", "a/b.db"] {
        assert_eq!(text.parse(), Ok(Database::Sqlite("a/b.db".into())), "{text}");
    }
    assert_eq!("sqlite:///a.db".parse(), Ok(Database::Sqlite("/a.db".into())));
    assert_eq!("C:fanfare.db".parse(), Ok(Database::Sqlite("C:fanfare.db".into())));
    assert_eq!(Database::default().to_string(), "sqlite:./fanfare.db");
}

#[test]
fn a_database_on_a_server_is_a_url_and_is_shown_without_its_password() {
    for scheme in ["postgres", "postgresql"] {
        let text = format!("{scheme}://ann:s%40cret@db.example/fanfare?sslmode=verify-full&connections=4");
        let database: Database = text.parse().unwrap();
        assert_eq!(database.to_string(), "postgres://ann@db.example:5432/fanfare");
        assert!(!format!("{database:?}").contains("cret"));
    }
}

#[test]
fn what_we_cannot_open_is_refused_by_its_reason_and_not_repeated() {
    for (text, told) in [
        ("sqlite::memory:", "loses what it has acknowledged"),
        ("sqlite:", "the path is missing"),
        ("", "the path is missing"),
        ("mysql://ann:sesame@localhost", "mysql: is no kind of database we know"),
        ("host=db password=sesame", "neither a file nor a URL"),
        ("postgres://ann:sesame@db", "names no database"),
        ("postgres://ann:ses@ame@db/fanfare", "write @ as %40"),
        ("postgres://ann:sesame@db:port/fanfare", "port"),
        ("postgres://ann:sesame@db/fanfare?sslmode=always", "sslmode"),
        ("postgres://ann:sesame@db/fanfare?pooler=session", "pooler=session"),
        ("postgres://ann:sesame@db/fanfare?connections=0", "connections=0"),
    ] {
        let error = text.parse::<Database>().unwrap_err().to_string();
        assert!(error.contains(told), "{text}: {error}");
        assert!(!error.contains("sesame") && !error.contains("ame@"), "{error}");
    }
}

#[test]
fn authorities_are_read_from_a_file_that_must_be_one_of_authorities() {
    let base = "postgres://ann@db/fanfare";
    let missing = format!("{base}{CERTIFICATE}/nonexistent.pem").parse::<Database>().unwrap_err().to_string();
    assert!(missing.contains("cannot read /nonexistent.pem"), "{missing}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no certificate").unwrap();
    let empty = format!("{base}{CERTIFICATE}{}", file.path().display()).parse::<Database>().unwrap_err().to_string();
    assert!(empty.contains("name a PEM file"), "{empty}");
    assert!(format!("{base}{CERTIFICATE}system").parse::<Database>().is_ok());
}

#[test]
fn a_refusal_is_told_with_the_mend_that_belongs_to_it() {
    let told = |reason: &str| {
        let (database, reason) = ("postgres://db:5432/fanfare".to_owned(), reason.to_owned());
        told_with_mend(store_postgres::OpenError::Unreachable { database, reason }).to_string()
    };
    for (reason, mend) in [
        ("invalid peer certificate: UnknownIssuer", "sslrootcert=FILE"),
        ("unsupported startup parameter: options", "pooler=transaction"),
        ("cannot execute LOCK TABLE during recovery", "the primary"),
        ("Connection refused", "is the server running"),
    ] {
        let told = told(reason);
        assert!(told.starts_with("postgres://db:5432/fanfare cannot") && told.contains(mend), "{told}");
    }
}
