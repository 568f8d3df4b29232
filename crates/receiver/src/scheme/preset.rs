//! Senders by name: how each signs, as declarations. Sources are in docs/receiving/sources.md.

use std::time::Duration;

use super::{Declaration, IdPlace, SignatureEncoding, TimePlace, TimeRule, TimeUnit};
use crate::challenge::Challenge;

/// What most senders advise.
const TOLERANCE: Duration = Duration::from_secs(300);
/// What Calendly advises.
const TOLERANCE_OF_CALENDLY: Duration = Duration::from_secs(180);

macro_rules! presets {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A sender by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Preset {
            $($(#[$doc])* $name,)*
        }

        impl Preset {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

presets! {
    /// `webhook-*` headers, `v1` and `v1a`; what Fanfare sends.
    StandardWebhooks = "standard-webhooks",
    /// The same as `svix-*` headers.
    Svix = "svix",
    /// Stripe.
    Stripe = "stripe",
    /// GitHub.
    GitHub = "github",
    /// Shopify.
    Shopify = "shopify",
    /// Zoom, with its challenge.
    Zoom = "zoom",
    /// Slack's Events API, with its challenge.
    Slack = "slack",
    /// Razorpay.
    Razorpay = "razorpay",
    /// Calendly.
    Calendly = "calendly",
    /// Cal.com.
    CalCom = "calcom",
    /// Meta (Facebook, Instagram, WhatsApp), with its challenge.
    Meta = "meta",
    /// Microsoft Graph: an unguessable path, with its challenge.
    Graph = "graph",
    /// A token as `Authorization: Bearer`.
    Bearer = "bearer",
    /// A user and a password as `Authorization: Basic`.
    Basic = "basic",
    /// A token in a header of any name.
    Header = "header",
    /// An unguessable path.
    Path = "path",
    /// TagMango, which signs nothing: an unguessable path, and a header where one can be had.
    TagMango = "tagmango",
    /// What `[source.verify]` declares.
    Custom = "custom",
}

impl Preset {
    /// Whether it needs nothing but keys.
    #[must_use]
    pub const fn needs_only_keys(self) -> bool {
        match self {
            Self::StandardWebhooks
            | Self::Svix
            | Self::Stripe
            | Self::GitHub
            | Self::Shopify
            | Self::Zoom
            | Self::Slack
            | Self::Razorpay
            | Self::Calendly
            | Self::CalCom
            | Self::Bearer => true,
            Self::Meta | Self::Graph | Self::Basic | Self::Header | Self::Path | Self::TagMango | Self::Custom => false,
        }
    }

    /// Whether the path is the secret.
    #[must_use]
    pub const fn has_secret_path(self) -> bool {
        matches!(self, Self::Path | Self::TagMango | Self::Graph)
    }
}

impl std::fmt::Display for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Preset {
    type Err = ParsePresetError;

    fn from_str(text: &str) -> Result<Self, ParsePresetError> {
        Self::ALL.iter().copied().find(|preset| preset.as_str() == text).ok_or(ParsePresetError)
    }
}

/// There is no preset of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsePresetError;

impl std::fmt::Display for ParsePresetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("is no preset; there are ")?;
        for (before, preset) in Preset::ALL.iter().enumerate() {
            write!(f, "{}{preset}", if before == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for ParsePresetError {}

/// How the sender signs, for presets that need only keys and are declarations.
pub(super) fn declaration(preset: Preset) -> Option<Declaration> {
    Some(match preset {
        // The key is the whole text, `whsec_` included.
        Preset::Stripe => timed_list("stripe-signature", TOLERANCE, IdPlace::Pointer("/id".into())),
        Preset::Calendly => timed_list("calendly-webhook-signature", TOLERANCE_OF_CALENDLY, IdPlace::Content),
        Preset::GitHub => github_like(IdPlace::Header("x-github-delivery".into())),
        Preset::Shopify => Declaration {
            encoding: SignatureEncoding::Base64,
            // Not the event's id: several webhooks of one act of a merchant share it.
            id: IdPlace::Header("x-shopify-webhook-id".into()),
            ..Declaration::hmac_sha256("x-shopify-hmac-sha256", "")
        },
        Preset::Zoom => v0("x-zm-signature", "x-zm-request-timestamp", IdPlace::Content),
        Preset::Slack => v0("x-slack-signature", "x-slack-request-timestamp", IdPlace::Pointer("/event_id".into())),
        Preset::Razorpay => Declaration {
            id: IdPlace::Header("x-razorpay-event-id".into()),
            ..Declaration::hmac_sha256("x-razorpay-signature", "")
        },
        Preset::CalCom => Declaration::hmac_sha256("x-cal-signature-256", ""),
        Preset::Bearer => Declaration::token("authorization", "Bearer "),
        Preset::StandardWebhooks
        | Preset::Svix
        | Preset::Meta
        | Preset::Graph
        | Preset::Basic
        | Preset::Header
        | Preset::Path
        | Preset::TagMango
        | Preset::Custom => return None,
    })
}

pub(super) fn challenge(preset: Preset) -> Option<Challenge> {
    match preset {
        Preset::Zoom => Some(Challenge::Zoom),
        Preset::Slack => Some(Challenge::Slack),
        _ => None,
    }
}

/// `sha256=` and hex over the body. The SHA-1 header beside it is never looked at.
pub(super) fn github_like(id: IdPlace) -> Declaration {
    Declaration { id, ..Declaration::hmac_sha256("x-hub-signature-256", "sha256=") }
}

/// `t=…,v1=…[,v1=…]` over `{timestamp}.{body}`.
fn timed_list(header: &str, tolerance: Duration, id: IdPlace) -> Declaration {
    Declaration {
        separator: Some(",".to_owned()),
        content: "{timestamp}.{body}".to_owned(),
        time: Some(TimeRule { place: TimePlace::Parameter("t=".to_owned()), unit: TimeUnit::Seconds, tolerance }),
        id,
        ..Declaration::hmac_sha256(header, "v1=")
    }
}

/// `v0=` and hex over `v0:{timestamp}:{body}`.
fn v0(header: &str, time: &str, id: IdPlace) -> Declaration {
    let place = TimePlace::Header(time.to_owned());
    Declaration {
        content: "v0:{timestamp}:{body}".to_owned(),
        time: Some(TimeRule { place, unit: TimeUnit::Seconds, tolerance: TOLERANCE }),
        id,
        ..Declaration::hmac_sha256(header, "v0=")
    }
}
