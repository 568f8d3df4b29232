//! The settings of a `calendar` handler: it has none of its own, and needs to know where this server is reached.

use super::section::Section;

/// Whether a calendar handler can be: its addresses begin with the server's own.
pub(super) fn read(section: &Section<'_>, public_url: Option<&str>) -> Option<()> {
    if public_url.is_none() {
        section.refuse(
            "type",
            "calendar needs the address at which this server is reached; add public-url = \"https://hooks.example\" to \
             [inbox]",
        );
        return None;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::super::section::{Report, Section};

    #[test]
    fn a_calendar_without_an_address_of_the_server_is_a_mistake_with_its_mend() {
        let text = "type = \"calendar\"\n";
        let table = DeTable::parse(text).unwrap();
        let secrets = |_: &str| Err("none".to_owned());
        let report = Report::new(text, &secrets);
        let section = Section::new(table.get_ref(), 0..0, "handler \"dates\"".to_owned(), &report);
        assert_eq!(super::read(&section, Some("https://hooks.example")), Some(()));
        assert_eq!(super::read(&section, None), None);
        let mistakes = report.finish();
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].to_string().starts_with("line 1: handler \"dates\", type: calendar needs"), "{mistakes:?}");
    }
}
