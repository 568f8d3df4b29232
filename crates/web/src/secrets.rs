//! The signing secrets of endpoints: exchanged for new ones, each shown once. What everybody may know of them (scheme,
//! public key, end) is part of the endpoint.

use axum::extract::{Path, State};
use jiff::Timestamp;
use provider::secret::{EndpointSecret, Overlap, OverlapTooLong, SECRETS_VALID_MAX};
use serde::{Deserialize, Serialize};
use store::{Act, Endpoint, Rotated, Rotation};
use wire::{AsymmetricSecret, EndpointId, ParseSecretError, Secret, SignatureScheme, SigningSecret};

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{JsonBody, parse_id};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewSecretBody {
    overlap_hours: Option<u64>,
    kind: Option<Kind>,
    secret: Option<String>,
}

/// How it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    V1,
    V1a,
}

/// What anybody with access to the account may know of a secret.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretView {
    scheme: &'static str,
    /// What receivers verify `v1a` with.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    created_at: String,
    /// Where a newer one has replaced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RotatedView {
    id: String,
    /// Shown once.
    signing_secret: String,
    secrets: Vec<SecretView>,
}

/// Those that sign at `now`, newest first.
pub(crate) fn views_of(endpoint: &Endpoint, now: Timestamp) -> Vec<SecretView> {
    endpoint.secrets.iter().filter(|secret| secret.is_valid_at(now)).map(SecretView::of).collect()
}

impl SecretView {
    fn of(secret: &EndpointSecret) -> SecretView {
        let (scheme, public_key) = match &secret.secret {
            Secret::Symmetric(_) => (SignatureScheme::V1, None),
            Secret::Asymmetric(pair) => (SignatureScheme::V1a, Some(pair.public_key().to_string())),
        };
        SecretView {
            scheme: scheme.as_str(),
            public_key,
            created_at: instant(secret.created_at),
            valid_until: secret.valid_until.map(instant),
        }
    }
}

/// Gives an endpoint a new secret; those before it sign beside it for a while.
pub(crate) async fn rotate(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Option<JsonBody<NewSecretBody>>,
) -> Reply {
    let id: EndpointId = parse_id(&id, "endpoint")?;
    let body = body.map(|JsonBody(body)| body).unwrap_or_default();
    let overlap = match body.overlap_hours.map(Overlap::from_hours) {
        None => Overlap::default(),
        Some(overlap) => {
            overlap.map_err(|error: OverlapTooLong| Problem::invalid("/overlapHours", error.to_string()))?
        }
    };
    let known = app.store().endpoint(caller.account, id).await?.ok_or_else(|| Problem::not_found("endpoint"))?;
    let secret = new_secret(&app, &body, &known)?;
    let now = app.now();
    let rotation = Rotation { secret: secret.clone(), old_until: overlap.end(now), now };
    match app.noting(&caller, Act::EndpointRotateSecret, id).rotate_secret(caller.account, id, rotation).await? {
        Some(Rotated::Done(endpoint)) => Ok(reply::ok(&RotatedView {
            id: id.to_string(),
            signing_secret: secret.reveal().to_string(),
            secrets: views_of(&endpoint, now),
        })),
        Some(Rotated::TooManyValid) => Err(Problem::too_many_secrets(SECRETS_VALID_MAX)),
        None => Err(Problem::not_found("endpoint")),
    }
}

/// The caller's own secret, or a new one of the kind asked for; without a wish, of the kind there is.
fn new_secret(app: &App, body: &NewSecretBody, endpoint: &Endpoint) -> Result<Secret, Problem> {
    if let Some(text) = &body.secret {
        let refuse = |error: ParseSecretError| Problem::invalid("/secret", error.to_string());
        let secret: Secret = text.trim().parse().map_err(refuse)?;
        if endpoint.secrets.first().is_some_and(|newest| newest.secret.reveal() == secret.reveal()) {
            return Err(Problem::invalid("/secret", "is what this endpoint signs with already; give a new one"));
        }
        return match body.kind {
            Some(kind) if kind != Kind::of(&secret) => {
                Err(Problem::invalid("/kind", "is not the kind of the secret given; leave one of the two out"))
            }
            _ => Ok(secret),
        };
    }
    let kind_now = endpoint.secrets.first().map_or(Kind::V1, |newest| Kind::of(&newest.secret));
    Ok(match body.kind.unwrap_or(kind_now) {
        Kind::V1 => SigningSecret::from_random(app.context.chance.bytes()).into(),
        Kind::V1a => AsymmetricSecret::from_seed(app.context.chance.bytes()).into(),
    })
}

impl Kind {
    fn of(secret: &Secret) -> Kind {
        match secret {
            Secret::Symmetric(_) => Kind::V1,
            Secret::Asymmetric(_) => Kind::V1a,
        }
    }
}
