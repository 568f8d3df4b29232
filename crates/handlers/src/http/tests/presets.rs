use std::time::Duration;

use receiver::HandlerRate;
use serde_json::{Value, json};

use super::world::{Receiver, event, job};
use super::{HttpBody, HttpSettings, Preset, Templates, WhatsAppMessage, http, settings, text};
use crate::{RunFailure, RunFailureKind};

fn message() -> WhatsAppMessage {
    WhatsAppMessage {
        to: text("{{ person.phoneDigits }}"),
        template: "webinar_moved".to_owned(),
        language: "en_US".to_owned(),
        parameters: vec![
            (None, text("{{ person.name }}")),
            (Some("title".to_owned()), text("{{ sessions[0].title }}")),
        ],
    }
}

async fn by_whatsapp(receiver: &Receiver, event: Value) -> Result<String, RunFailure> {
    let url = receiver.url("/v24.0/123/messages");
    let whatsapp =
        HttpSettings { preset: Preset::WhatsAppCloud, body: HttpBody::WhatsApp(message()), ..settings(&url) };
    http(whatsapp).ask(&job(), event).await
}

fn body_of(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn whatsapp_gets_the_approved_template_with_its_parameters_on_one_line() {
    let receiver = Receiver::that_answers_status(200, r#"{"messages":[{"id":"wamid.HBgN"}]}"#);

    let note = by_whatsapp(&receiver, event()).await.unwrap();

    assert_eq!(note, format!("{} answered 200", receiver.address));
    let expected = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "4915112345678", "type": "template",
        "template": { "name": "webinar_moved", "language": { "code": "en_US" }, "components": [{
            "type": "body", "parameters": [
                { "type": "text", "text": "Ana X-Evil: 1 \"q\"" },
                { "type": "text", "parameter_name": "title", "text": "Design & clinic" },
            ] }] },
    });
    assert_eq!(body_of(&receiver.next_request()), expected);
}

#[tokio::test]
async fn somebody_without_a_phone_number_is_done_without_a_call() {
    let receiver = Receiver::that_answers_status(200, "");
    let mut event = event();
    event["person"]["phoneDigits"] = Value::Null;

    assert_eq!(by_whatsapp(&receiver, event).await.unwrap(), "no phone number");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn an_empty_parameter_is_told_before_whatsapp_refuses_it() {
    let receiver = Receiver::that_answers_status(200, "");
    let mut event = event();
    event["person"]["name"] = json!(" \n");

    let failure = by_whatsapp(&receiver, event).await.unwrap_err();
    assert_eq!(failure.kind, RunFailureKind::Hopeless);
    assert!(failure.reason.contains("parameter 1 is empty"), "{}", failure.reason);
}

#[tokio::test]
async fn whatsapps_own_codes_decide_where_its_status_does_not() {
    let target = RunFailureKind::Target { after: None };
    for (code, kind) in [
        (130_429, target),
        (190, target),
        (131_056, RunFailureKind::Retry { after: Some(Duration::from_secs(6)) }),
        (131_000, RunFailureKind::Retry { after: None }),
        (132_000, RunFailureKind::Hopeless),
    ] {
        let said = format!(r#"{{"error":{{"message":"m","type":"OAuthException","code":{code}}}}}"#);
        let failure = by_whatsapp(&Receiver::that_answers_status(400, &said), event()).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{}", failure.reason);
        assert!(failure.reason.contains(&format!("({code})")), "{}", failure.reason);
    }
}

#[tokio::test]
async fn slack_gets_a_text_that_nobody_can_put_a_mention_into() {
    let receiver = Receiver::that_answers_status(200, "ok");
    let mut event = event();
    event["person"]["name"] = json!("<!channel> & \"co\"");
    let template = Templates::default().slack("*{{ sessions[0].title }}* for {{ person.name }}").unwrap();
    let slack =
        HttpSettings { preset: Preset::Slack, body: HttpBody::Slack(template), ..settings(&receiver.url("/s")) };

    http(slack).ask(&job(), event).await.unwrap();

    let text = "*Design &amp; clinic* for &lt;!channel&gt; &amp; \"co\"";
    assert_eq!(body_of(&receiver.next_request()), json!({ "text": text }));
}

#[test]
fn services_get_no_more_than_they_bear() {
    let rate = |attempts, seconds| HandlerRate { attempts, per: Duration::from_secs(seconds) };
    assert_eq!(Preset::Slack.rates(), [rate(1, 1)]);
    assert_eq!(Preset::Zapier.rates(), [rate(30, 1), rate(10_000, 300)]);
    assert_eq!(Preset::Make.rates(), [rate(300, 10)]);
    assert_eq!(Preset::WhatsAppCloud.rates(), [rate(80, 1)]);
    assert!(Preset::N8n.rates().is_empty() && Preset::Generic.rates().is_empty());
    assert!("teams".parse::<Preset>().is_err_and(|error| error.to_string().contains("slack, zapier")));
}
