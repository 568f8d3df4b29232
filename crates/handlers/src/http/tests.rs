//! The `http` handler against real sockets on loopback.

mod answers;
mod presets;
mod requests;
pub(crate) mod world;

use std::collections::BTreeMap;

use super::*;
use crate::Templates;
use world::egress;

/// Settings as the file gives them where only a URL is set.
fn settings(url: &str) -> HttpSettings {
    HttpSettings {
        preset: Preset::Generic,
        method: ::egress::Method::Post,
        url: UrlText::parse(url, &Templates::default()).unwrap_or_else(|error| panic!("{url}: {error}")),
        headers: Vec::new(),
        body: HttpBody::Event,
        content_type: None,
        idempotency_header: Some(header_name("Idempotency-Key").unwrap()),
        success: Success::default(),
        keep_answer: false,
        secrets: BTreeMap::new(),
    }
}

fn json_body(source: &str) -> HttpBody {
    HttpBody::Json(Templates::default().json(source).unwrap())
}

fn text(source: &str) -> crate::Template {
    Templates::default().text(source).unwrap()
}

fn http(settings: HttpSettings) -> Http {
    Http::new(settings, &egress()).unwrap_or_else(|error| panic!("{error}"))
}
