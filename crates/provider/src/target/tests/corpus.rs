//! The table of attack spellings, and what canonical text the harmless ones get.

use super::super::TargetPolicy;

const REFUSED: &[&str] = &[
    // Loopback and metadata in every spelling an address parser knows.
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.0x1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0x0/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data",
    "http://2852039166/",
    "http://0xa000001/",
    "http://0x646464c8/",
    "http://4026531841/",
    "http://168.63.129.16/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://256.256.256.256/",
    "http://999999999999/",
    "http://0o177.0.0.1/",
    "http://1.2.3.4.5/",
    "http://a.1/",
    "http://127.0.0.1../",
    "http://a..b/",
    "http://.example.com/",
    "http://example.com../",
    // IPv6.
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[100::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[127.0.0.1]/",
    // Parsers that disagree.
    "http://127.1.1.1:80\\@127.2.2.2:80/",
    "http://127.1.1.1:80#\\@127.2.2.2:80/",
    "http:127.0.0.1/",
    "http:/127.0.0.1/",
    "//127.0.0.1/",
    "http://1.1.1.1&@2.2.2.2# @3.3.3.3/",
    "http://example.com@127.0.0.1/",
    "http://user:pa%0d%0ass@example.com/",
    "http://user@example.com/",
    "http://:secret@example.com/",
    "http://example.com#@127.0.0.1/",
    "http://example.com/#",
    "http://example.com\\.127.0.0.1/",
    "http://exa\tmple.com/",
    "http://exa\nmple.com/",
    "ht\ntp://example.com/",
    " http://example.com/",
    "http://example.com/ ",
    "http://example.com/a\r\nb",
    "http://example.com/\u{0}",
    "http://example.com/\u{7f}",
    "http://127.0.0.1%00.example.com/",
    "http://ex ample.com/",
    "http://example.com\u{0}/",
    // Names of this machine and of private networks.
    "http://localhost/",
    "http://LOCALHOST/",
    "http://loc\u{ad}alhost/",
    "http://loc%C2%ADalhost/",
    "http://localhost./",
    "http://foo.localhost/",
    "http://xn--localhost-/",
    "http://metadata.google.internal/",
    "http://METADATA.google.internal./",
    "http://printer.local/",
    "http://router.home.arpa/",
    "http://backend/",
    "http://backend./",
    "http://local/",
    "http://faß.de/",
    // Names DNS and certificates do not know.
    "http://-example.com/",
    "http://example-.com/",
    "http://exa!mple.com/",
    "http://exa'mple.com/",
    "http://*.example.com/",
    // Ports and schemes.
    "http://example.com:0/",
    "http://example.com:22/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://",
    "http:///",
    "https://?x",
    "",
    "example.com",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/plain,x",
    "gopher://127.0.0.1:25/_x",
    "ftp://example.com/",
    "ws://example.com/",
    "http+unix://%2fvar%2frun%2fdocker.sock/x",
];

const ACCEPTED: &[(&str, &str)] = &[
    ("https://example.com", "https://example.com/"),
    ("HTTPS://EXAMPLE.COM/Hook", "https://example.com/Hook"),
    ("https://example.com:443/", "https://example.com/"),
    ("http://example.com:080/", "http://example.com/"),
    ("https://example.com./x", "https://example.com/x"),
    ("http://example%2ecom/", "http://example.com/"),
    ("http://example.com/%0d%0aX-Injected:1", "http://example.com/%0d%0aX-Injected:1"),
    ("http://exam_ple.com/", "http://exam_ple.com/"),
    ("https://xn--fa-hia.de/", "https://xn--fa-hia.de/"),
    ("http:example.com/a/../b", "http://example.com/b"),
    ("http://1.1.1.0x1/", "http://1.1.1.1/"),
    ("http://[64:ff9b::1.1.1.1]/", "http://[64:ff9b::101:101]/"),
    ("http://a.b.c.d.169.254.169.254.nip.io/", "http://a.b.c.d.169.254.169.254.nip.io/"),
    ("https://example.com/?q=\"<>`{}|^'", "https://example.com/?q=%22%3C%3E`{}|^%27"),
];

#[test]
fn every_attack_spelling_is_refused() {
    for text in REFUSED {
        let refusal = TargetPolicy::default().parse(text);
        assert!(refusal.is_err(), "{text:?} became {:?}", refusal.map(|url| url.as_str().to_owned()));
    }
}

#[test]
fn harmless_urls_get_one_canonical_text() {
    for (text, canonical) in ACCEPTED {
        let url = TargetPolicy::default().parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(url.as_str(), *canonical);
    }
}
