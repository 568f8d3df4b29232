//! Lists as people export them, whole and torn into pieces.

use super::*;

type Told = (u64, Result<(String, Option<String>), Vec<String>>);

/// Reads a list given in pieces of `size` bytes; people as e-mail and attributes, mistakes as pointers.
fn read_in(size: usize, format: ListFormat, list: &[u8]) -> Result<Vec<Told>, UnreadableList> {
    let mut reader = MemberReader::new(format, Zones::bundled());
    let mut told = Vec::new();
    let mut take = |reader: &mut MemberReader| -> Result<(), UnreadableList> {
        while let Some(line) = reader.next_line()? {
            let member = line.member.map(|member| (member.participant.email, member.attributes));
            told.push((line.number, member.map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())));
        }
        Ok(())
    };
    for piece in list.chunks(size) {
        reader.feed(piece);
        take(&mut reader)?;
    }
    reader.finish();
    take(&mut reader)?;
    Ok(told)
}

/// Reads a CSV list in pieces of several sizes, which must make no difference.
#[track_caller]
fn csv(list: &[u8]) -> Result<Vec<Told>, UnreadableList> {
    let whole = read_in(list.len().max(1), ListFormat::Csv, list);
    for size in [1, 2, 7, 1_000] {
        assert_eq!(read_in(size, ListFormat::Csv, list), whole, "in pieces of {size}");
    }
    whole
}

fn ndjson(list: &[u8]) -> Vec<Told> {
    let whole = read_in(list.len(), ListFormat::Ndjson, list).unwrap();
    assert_eq!(read_in(3, ListFormat::Ndjson, list).unwrap(), whole);
    whole
}

fn good(number: u64, email: &str) -> Told {
    (number, Ok((email.to_owned(), None)))
}

fn bad(number: u64, pointer: &str) -> Told {
    (number, Err(vec![pointer.to_owned()]))
}

#[test]
fn columns_may_stand_in_any_order_and_further_ones_become_attributes() {
    let list = b"\xef\xbb\xbfcity,Email,name,plan\r\nPune,a@x.in,Asha,\r\n\r\n,b@x.in,\"Bo, \"\"Z\"\"\",gold";
    let told = csv(list).unwrap();
    assert_eq!(told[0], (2, Ok(("a@x.in".to_owned(), Some(r#"{"city":"Pune"}"#.to_owned())))));
    assert_eq!(told[1], (4, Ok(("b@x.in".to_owned(), Some(r#"{"plan":"gold"}"#.to_owned())))));
}

#[test]
fn bad_lines_are_told_by_number_and_good_ones_kept() {
    let list =
        b"name,email,phone,timezone\nA,a@x.in,,\n,b@x.in,,\nC,c@x.in,,Asia/Kolkatta\nD,d@x.in\nE,e@x.in,+91 98765,\n";
    let expected = [good(2, "a@x.in"), bad(3, "/name"), bad(4, "/timezone"), bad(5, ""), good(6, "e@x.in")];
    assert_eq!(csv(list).unwrap(), expected);
}

#[test]
fn a_field_in_quotes_may_span_lines() {
    let list = b"name,email,note\nA,a@x.in,\"one\r\ntwo\"\nB,b@x.in,\n";
    let told = csv(list).unwrap();
    assert_eq!(told[0], (2, Ok(("a@x.in".to_owned(), Some(r#"{"note":"one\r\ntwo"}"#.to_owned())))));
    assert_eq!(told[1], good(4, "b@x.in"));
}

#[test]
fn a_quote_astray_costs_its_own_line_only() {
    let open_at_end = b"name,email\nA,a@x.in\n\"B,b@x.in\nC,c@x.in\nD,d@x.in";
    assert_eq!(csv(open_at_end).unwrap(), [good(2, "a@x.in"), bad(3, ""), good(4, "c@x.in"), good(5, "d@x.in")]);
    let closed_by_another = b"name,email\n\"B,b@x.in\nC,c@x.in\n\"D\",d@x.in\nE,e@x.in\n";
    let expected = [bad(2, ""), good(3, "c@x.in"), good(4, "d@x.in"), good(5, "e@x.in")];
    assert_eq!(csv(closed_by_another).unwrap(), expected);
}

#[test]
fn a_torn_record_leaves_no_wrong_person_behind() {
    assert_eq!(csv(b"name,email\n\"A\nB\",nl@example.com\n").unwrap(), [bad(2, "")]);
    assert_eq!(
        csv(b"name,email\n\"A\nEve,e@x.in\nC\",nl@example.com\nD,d@x.in\n").unwrap(),
        [bad(2, ""), good(5, "d@x.in")]
    );
    assert_eq!(csv(b"name,email\n\"A\nEve,e@x.in\nC\",c@x.in,9\nD,d@x.in\n").unwrap(), [bad(2, ""), good(5, "d@x.in")]);
}

#[test]
fn a_quote_stands_around_a_whole_field_or_twice_in_one() {
    let list = b"name,email\nB\",b@x.in\n\"C\"x,c@x.in\n\"D \"\"d\"\"\",d@x.in\n\"E\" ,\"e@x.in\" \n\"\",f@x.in\n";
    let expected = [bad(2, ""), bad(3, ""), good(4, "d@x.in"), good(5, "e@x.in"), bad(6, "/name")];
    assert_eq!(csv(list).unwrap(), expected);
    assert_eq!(csv(b"name,email\rA,a@x.in\r\"B\",b@x.in\r\rC\"c,c@x.in\rD,d@x.in").unwrap().len(), 4);
}

#[test]
fn a_list_of_nothing_but_open_quotes_is_read_in_time() {
    let list = [b"name,email\n".to_vec(), b"\"\"\"open\n".repeat(100_000)].concat();
    let told = read_in(16_384, ListFormat::Csv, &list).unwrap();
    assert!(told.iter().all(|(_, member)| member.is_err()));
    assert_eq!(told.len(), 100_000);
}

#[test]
fn bytes_that_are_no_text_spoil_their_own_line_only() {
    assert_eq!(csv(b"name,email\n\xff,a@x.in\nB,b@x.in\n").unwrap(), [bad(2, ""), good(3, "b@x.in")]);
    // Half a character at the end of one field, the other half at the start of the next.
    assert_eq!(csv(b"name,email\nA\xc3,\xa9@x.in\n").unwrap(), [bad(2, "")]);
    let list = b"{\"name\":\"\xff\",\"email\":\"a@x.in\"}\n{\"name\":\"B\",\"email\":\"b@x.in\"}";
    assert_eq!(ndjson(list), [bad(1, ""), good(2, "b@x.in")]);
}

#[test]
fn an_overlong_line_is_passed_over_and_costs_no_memory() {
    for format in [ListFormat::Csv, ListFormat::Ndjson] {
        let mut reader = MemberReader::new(format, Zones::bundled());
        reader.feed(b"name,email\n");
        while reader.next_line().unwrap().is_some() {}
        let mut told = Vec::new();
        for _ in 0..100 {
            reader.feed(&[b'x'; 16_384]);
            told.extend(reader.next_line().unwrap());
        }
        reader.feed(b"\nrest\n");
        told.extend(reader.next_line().unwrap());
        let numbers: Vec<u64> = told.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [2, 3]);
        assert!(format!("{reader:?}").len() < 10 * RECORD_BYTES_MAX);
    }
}

#[test]
fn a_csv_list_must_begin_with_its_columns() {
    assert_eq!(csv(b""), Err(UnreadableList::NoColumn("name")));
    assert_eq!(csv(b"A,a@x.in\n"), Err(UnreadableList::NoColumn("name")));
    assert_eq!(csv(b"name;email\n"), Err(UnreadableList::Separator(';')));
    assert!(UnreadableList::Separator(';').to_string().contains("separate columns with commas"));
    assert_eq!(csv(b"name,phone\n"), Err(UnreadableList::NoColumn("email")));
    assert_eq!(csv(b"name,email,Name\n"), Err(UnreadableList::ColumnTwice("Name".to_owned())));
    assert!(matches!(csv(b"na\xffme,email\n"), Err(UnreadableList::Header(_))));
    assert_eq!(csv(b"name,email\n"), Ok(Vec::new()));
}

#[test]
fn an_object_a_line_takes_numbers_for_phones_and_keeps_what_it_does_not_know() {
    let list = br#"
{"name":"A","email":"a@x.in","phone":9876543210,"timezone":null,"plan":{"tier":1}}
["no object"]
{"name":7,"email":"b@x.in"}
{"name":"C"}"#;
    let told = ndjson(list);
    assert_eq!(told[0], (2, Ok(("a@x.in".to_owned(), Some(r#"{"plan":{"tier":1}}"#.to_owned())))));
    assert_eq!(told[1..], [bad(3, ""), bad(4, "/name"), bad(5, "/email")]);
}

#[test]
fn a_report_counts_all_bad_lines_and_tells_a_hundred() {
    let mut report = MemberReport::default();
    (1..=150).for_each(|line| report.reject(line, whole_line("is bad")));
    report.count(store::Enrolled { added: 3, updated: 2, unchanged: 1 });
    assert_eq!((report.lines, report.rejected, report.errors.len()), (156, 150, 100));
}
