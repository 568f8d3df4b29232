//! Disks that fail: a flush or a write that gives an error once ends the server, a full disk only makes it refuse. In no
//! case is anything acknowledged that a power failure would take, and nobody is told twice who was told for certain.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;

use nix::errno::Errno;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::disk::FaultyDisk;
use crate::power::{IDLE, judge, load};
use crate::server::{LOOK_AGAIN_AFTER, PATIENCE, Server};
use crate::world::World;
use crate::{client, skip};

/// Power failures tried after each fault.
const FAILURES: usize = 12;

/// A fault that comes once.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A commit into an empty log flushes the log's head first.
    FlushOfACommit {
        after: u32,
    },
    /// A checkpoint flushes the log, and then the file.
    FlushOfACheckpoint {
        after: u32,
    },
    Writes,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_ends_the_server_and_a_new_one_has_all_that_was_acknowledged() {
    let flushes = [0, 1].map(|after| [Fault::FlushOfACommit { after }, Fault::FlushOfACheckpoint { after }]);
    for fault in flushes.into_iter().flatten().chain([Fault::Writes]) {
        let world = World::with_members(40).await;
        let disk = FaultyDisk::under(world.directory());
        let start = async || Server::start_in(&world.database(), &disk.environment()).await.expect("it starts");
        let server = start().await;
        let mut promises = load(&world, &server, &disk).await;
        world.wait_until_everything_is_delivered(&server).await;

        meet(fault, &world, &server, &disk).await;
        let (code, told) = server.ended().await;
        assert_eq!(code, Some(1), "{fault:?}: {told}");
        assert!(disk.failures() > 0, "{fault:?} has happened");
        assert!(told.contains("check the disk, then start fanfare serve again"), "{told}");
        disk.fail_writes(None);

        // What the failed flush has lost stays lost, though the system's memory has it still.
        let mut server = start().await;
        promises.extend(load(&world, &server, &disk).await);
        world.wait_until_everything_is_delivered(&server).await;
        server.kill().await;
        let judged = judge(&disk.recording(), &promises, FAILURES);
        assert!(judged.kept > 1_000 && judged.broken == 0, "{fault:?}: {judged:?}");
        world.judge(&format!("{fault:?}"), 2);
    }
}

/// What was written and could not be flushed stands in the system's memory, where the next start finds it.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_flush_and_a_kill_nothing_is_built_on_what_the_disk_has_lost() {
    let world = World::with_members(40).await;
    let disk = FaultyDisk::under(world.directory());
    let start = async || Server::start_in(&world.database(), &disk.environment()).await.expect("it starts");
    let mut server = start().await;
    meet(Fault::FlushOfACommit { after: 1 }, &world, &server, &disk).await;
    server.kill().await;
    assert!(fs::metadata(world.database().with_extension("db-wal")).unwrap().len() > 0, "it had no time to clean up");

    let mut server = start().await;
    let promises = load(&world, &server, &disk).await;
    server.kill().await;
    let judged = judge(&disk.recording(), &promises, FAILURES);
    assert!(judged.kept > 1_000 && judged.broken == 0, "{judged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_fails_at_the_start_does_not_start() {
    let world = World::with_members(1).await;
    let disk = FaultyDisk::under(world.directory());
    // The log, and the name of the log.
    for after in [0, 1] {
        disk.fail_a_flush_after(after);
        assert!(Server::start_in(&world.database(), &disk.environment()).await.is_none(), "after {after} flushes");
        assert_eq!(disk.failures(), after + 1);
    }
}

/// Lets it happen, in the midst of a request where one meets it.
async fn meet(fault: Fault, world: &World, server: &Server, disk: &FaultyDisk) {
    match fault {
        // The log has just been written to, so that the idle server will move it into the file.
        Fault::FlushOfACheckpoint { after } => return disk.fail_a_flush_after(after),
        Fault::FlushOfACommit { after } => {
            sleep(IDLE).await;
            disk.fail_a_flush_after(after);
        }
        Fault::Writes => disk.fail_writes(Some(Errno::EIO)),
    }
    let (status, answer) = world.save(server.address).await.expect("it answers before it ends");
    assert_eq!((status, answer["code"].as_str()), (503, Some("disk_failed")), "{fault:?}: {answer}");
    assert!(answer["detail"].as_str().unwrap().contains("the disk of this server failed"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_takes_all_when_there_is_space() {
    let world = World::with_members(300).await;
    let disk = FaultyDisk::under(world.directory());
    let server = Server::start_in(&world.database(), &disk.environment()).await.expect("it starts");
    assert_eq!(ready(server.address).await.0, 200);
    // Deliveries are on their way when the space runs out.
    assert!(world.announce(server.address).await.is_some());
    disk.fail_writes(Some(Errno::ENOSPC));
    refuses_for_want_of_space(&world, &server).await;
    assert!(disk.failures() > 0);

    disk.fail_writes(None);
    recovers(&world, &server).await;
    world.wait_until_everything_is_delivered(&server).await;
    server.stop().await;
    // It kept the outcomes in mind, and had them written in the end.
    world.judge("a full disk", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_system_fills_up_and_is_emptied_again_without_a_restart() {
    let mut world = World::with_members(40).await;
    let Some((server, database)) = Server::start_on_small_disk(&world.database(), 16 << 20).await else {
        return skip("a small file system needs unshare, mount and the right to use them; run it as root");
    };
    world.move_to(database);
    assert!(world.announce(server.address).await.is_some());
    world.wait_until_everything_is_delivered(&server).await;
    sleep(IDLE).await;
    let ballast = world.database().with_file_name("ballast");
    assert_eq!(ready(server.address).await.0, 200);
    fill(&ballast);
    // Nobody has met the full disk yet, and a small write may find room.
    let told = async {
        loop {
            let (status, answer) = ready(server.address).await;
            if status == 503 {
                return answer;
            }
            sleep(LOOK_AGAIN_AFTER).await;
        }
    };
    let answer = timeout(PATIENCE, told).await.expect("it looks at the space that is left");
    assert!(answer["detail"].as_str().unwrap().contains("the disk is full but for"), "{answer}");
    // The log may have space of its own left; it is soon used up.
    let refused = async { while world.send_one(server.address).await.is_some() {} };
    timeout(PATIENCE, refused).await.expect("the disk is full");
    refuses_for_want_of_space(&world, &server).await;

    fs::remove_file(ballast).unwrap();
    recovers(&world, &server).await;
    world.wait_until_everything_is_delivered(&server).await;
    // SQLite would follow the way into the other file system's name space and end in this one.
    sleep(IDLE).await;
    let copy = world.directory().join("copy.db");
    fs::copy(world.database(), &copy).unwrap();
    world.move_to(copy);
    world.judge("a small file system", 1);
    server.stop().await;
}

fn fill(ballast: &std::path::Path) {
    let mut file = File::create(ballast).unwrap();
    let full = (0..).find_map(|_| file.write_all(&[1; 4096]).err()).unwrap();
    assert_eq!(full.raw_os_error(), Some(Errno::ENOSPC as i32));
}

/// Webhooks, saves and the readiness check say what is wrong, and that it is not for good.
async fn refuses_for_want_of_space(world: &World, server: &Server) {
    let (status, answer) = world.send_again(server.address, "msg_full").await.unwrap();
    assert_eq!((status, answer["status"].as_str()), (503, Some("unwritable")), "{answer}");
    let (status, answer) = world.save(server.address).await.unwrap();
    assert_eq!((status, answer["code"].as_str()), (503, Some("unwritable")), "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("the disk is full"), "{answer}");
    let (status, answer) = ready(server.address).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("the disk is full"), "{answer}");
    assert!(server.told().contains("goes on trying"), "{}", server.told());
}

async fn recovers(world: &World, server: &Server) {
    let recovering = async {
        while ready(server.address).await.0 != 200 {
            sleep(LOOK_AGAIN_AFTER).await;
        }
    };
    timeout(PATIENCE, recovering).await.expect("it is ready again by itself");
    assert!(world.send_one(server.address).await.is_some());
    assert!(world.announce(server.address).await.is_some());
    assert!(server.told().contains("the store can write again"), "{}", server.told());
}

async fn ready(address: SocketAddr) -> (u16, Value) {
    client::get(address, "/readyz", &[]).await.unwrap()
}
