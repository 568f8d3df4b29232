use handlers::{EmailSettings, MailTls, RunFailureKind};

use crate::server::Speaks;
use crate::world::{World, announcement, session};
use receiver::WebinarEvent;

fn event() -> WebinarEvent {
    announcement(&[session("a", "2024-03-15T10:00:00Z")])
}

/// A world that signs in, trusting the server's certificate.
async fn world(speaks: Speaks, tls: MailTls, change: impl FnOnce(&mut EmailSettings)) -> World {
    let mut world = World::with(speaks, |_| {}).await;
    let scheme = if tls == MailTls::Implicit { "smtps" } else { "smtp" };
    let address = format!("{scheme}://me:secret@localhost:{}", world.server.port);
    let mut settings = crate::world::settings(&address);
    settings.tls = tls;
    settings.certificate = Some(world.server.certificate.parse().unwrap());
    change(&mut settings);
    world.handler = handlers::EmailHandler::new(settings, world.tools.clone()).unwrap();
    world
}

#[tokio::test]
async fn mails_and_passwords_go_over_tls_by_either_way() {
    for (speaks, tls) in [
        (Speaks::StartTls, MailTls::Required),
        (Speaks::StartTls, MailTls::Opportunistic),
        (Speaks::Tls, MailTls::Implicit),
    ] {
        let mut world = world(speaks, tls, |_| {}).await;
        world.mail_for(event()).await;
        let taken = &world.server.taken()[0];
        assert!(taken.was_protected, "{tls:?}");
        assert_eq!(taken.sign_in, "AG1lAHNlY3JldA==", "\\0me\\0secret");
    }
}

#[tokio::test]
async fn where_tls_is_required_a_server_without_it_gets_neither_mail_nor_password() {
    let mut world = world(Speaks::Plain, MailTls::Required, |_| {}).await;
    let failure = world.handle(event()).await.unwrap_err();
    assert_eq!(failure.kind, RunFailureKind::Target { after: None });
    assert!(failure.reason.contains("offers no STARTTLS"), "{}", failure.reason);
    assert!(world.server.taken().is_empty());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    for (speaks, tls) in [(Speaks::StartTls, MailTls::Required), (Speaks::Tls, MailTls::Implicit)] {
        let mut world = world(speaks, tls, |settings| settings.certificate = None).await;
        let failure = world.handle(event()).await.unwrap_err();
        assert_eq!(failure.kind, RunFailureKind::Target { after: None });
        assert!(failure.reason.contains("certificate is not trusted"), "{}", failure.reason);
    }
}

#[tokio::test]
async fn a_password_that_is_refused_is_told_without_it() {
    let mut world = world(Speaks::StartTls, MailTls::Required, |_| {}).await;
    world.server.at("AUTH", crate::server::Act::Answer("535 5.7.8 me:secret is wrong"));
    let failure = world.handle(event()).await.unwrap_err();
    assert!(failure.reason.contains("refuses name and password (code 535)"), "{}", failure.reason);
    assert!(!failure.reason.contains("secret"));
}

#[tokio::test]
async fn a_copy_goes_unseen_and_its_refusal_hinders_nobody() {
    let mut world = world(Speaks::Plain, MailTls::None, |settings| {
        settings.bcc = Some("archive@school.example".parse().unwrap());
        settings.reply_to = Some("help@school.example".parse().unwrap());
    })
    .await;
    let mail = world.mail_for(event()).await;
    assert_eq!(world.server.taken()[0].to, ["bo@example.com", "archive@school.example"]);
    assert!(!mail.header_names().contains(&"Bcc"));
    assert_eq!(mail.header("Reply-To"), "help@school.example");
}
