//! What clients should not do: strangers, other protocols, and names that want out.

use std::collections::BTreeSet;

use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Table;
use russh::keys::PrivateKeyWithHashAlg;
use russh_sftp::protocol::FileAttributes;
use russh_sftp::protocol::OpenFlags;
use std::sync::Arc;

use super::FEED;
use super::connect;
use super::key_of;
use super::lab_key;
use super::oru;
use super::raw;
use super::setup;
use super::start;
use super::until;
use crate::harness::TestGateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_does_not_come_in() {
    let gateway = start("").await;
    let laboratory = gateway.laboratory();
    laboratory.use_key(&key_of(8));
    assert!(laboratory.refused("pwd\n").await.contains("Permission denied (publickey)"));
    laboratory.use_key(&lab_key());
    for user in ["", "root", "standard-mllp", "standard-sftp\n", "../standard"] {
        assert!(!laboratory.sftp_as(user, "pwd\n").await.done, "{user:?}");
    }
    let mut connection = connect(gateway.sftp()).await;
    assert!(!connection.authenticate_password(FEED, "password").await.unwrap().success());
    assert!(!connection.authenticate_none(FEED).await.unwrap().success());
    let interactive = connection.authenticate_keyboard_interactive_start(FEED, None).await;
    assert!(!format!("{interactive:?}").contains("InfoRequest"), "{interactive:?}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_but_sftp() {
    let gateway = start("").await;
    let laboratory = gateway.laboratory();
    for options in [&["-T"][..], &["-tt"], &["-W", "127.0.0.1:1"], &["-s"]] {
        let mut command = laboratory.command("ssh", FEED, options);
        command.arg("id");
        let output = command.output().await.unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{options:?}: {output:?}");
    }
    let forward =
        laboratory.command("ssh", FEED, &["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"]);
    assert!(!{ forward }.output().await.unwrap().status.success());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_links_and_ways_out_are_refused_and_the_session_lives() {
    let gateway = start("take = \"rename\"").await;
    let laboratory = gateway.laboratory();
    laboratory.write("a", oru("S1"));
    let said = laboratory
        .done(
            "put a a.tmp\n-mkdir x\n-symlink /etc/passwd y\n-ln a.tmp z\n-ln -s a.tmp z\n-rmdir receipts\n\
             -put a ../../etc/passwd\n-get ../../etc/passwd p\n-put a receipts/mine\n-rename a.tmp receipts/b\n\
             -cd ../../..\n-ls -l ../../..\n-chmod 777 a.tmp\n-chown 0 a.tmp\nput a ../b.tmp\nls -la\n",
        )
        .await;
    let last = said.rsplit("ls -la").next().unwrap();
    let last = last.split("Warning:").next().unwrap();
    let names: Vec<&str> = last.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let files: BTreeSet<&str> = names.into_iter().filter(|it| !it.is_empty()).collect();
    assert!(files.contains("a.tmp") && files.contains("b.tmp") && files.contains("receipts"), "{said}");
    assert!(!said.contains("root:") && !std::path::Path::new("/etc/passwd.receipt").exists());
    let listed = |name: &str| last.contains(name);
    assert!(!listed("x\n") && !listed("y\n") && !listed("mine"), "{said}");
    gateway.finish().await;
}

/// Two thousand names that want out of their folder, out of a listing, or out of a line.
fn hostile_names() -> Vec<String> {
    let ways = [
        "..", ".", "...", "~", "/", "//", "\\", "..\\", "%2e%2e", "a\0b", "a\nb", "a\tb", "\u{202E}", "C:",
        "-", "*", "receipts", "\u{7f}", "..;", " ", "$(id)", "`id`", "é", "e\u{301}", "\u{FEFF}", "NUL",
        "\u{2028}",
    ];
    let ends =
        ["etc/passwd", "x.hl7", "", "receipts/x", "../x", "a/../../x", "/", "..", "\0", "data/master.key"];
    let mut names = Vec::new();
    for one in ways {
        for two in ways {
            for end in ends {
                names.push(format!("{one}/{two}{end}"));
                names.push(format!("{one}{two}/{end}"));
            }
        }
    }
    names.push("x".repeat(300));
    names.push(format!("{}x", "../".repeat(1_000)));
    names.truncate(2_000 - 2);
    names.extend(["x".repeat(5_000), "/".repeat(5_000)]);
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_two_thousand_hostile_names_stay_inside_or_out() {
    let gateway = TestGateway::start_with(setup("take = \"rename\"", "files_max = 4000")).await;
    let before = gateway.tree();
    let raw = raw(gateway.sftp()).await;
    let names = hostile_names();
    assert_eq!(names.len(), 2_000);
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let nothing = FileAttributes::empty;
    let (mut kept, mut refused) = (0, 0);
    for name in &names {
        match raw.sftp.open(name.as_str(), flags, nothing()).await {
            Err(_) => refused += 1,
            Ok(opened) => {
                raw.sftp.write(opened.handle.as_str(), 0, b"x".to_vec()).await.unwrap();
                raw.sftp.close(opened.handle).await.unwrap();
                kept += 1;
            }
        }
        let _ = raw.sftp.stat(name.as_str()).await;
        let _ = raw.sftp.opendir(name.as_str()).await;
        let _ = raw.sftp.mkdir(name.as_str(), nothing()).await;
        let _ = raw.sftp.readlink(name.as_str()).await;
        let _ = raw.sftp.symlink(name.as_str(), "/etc/passwd").await;
        let _ = raw.sftp.hardlink("x.hl7", name.as_str()).await;
        let _ = raw.sftp.rename("x.hl7", format!("{name}.tmp")).await;
        if let Ok(real) = raw.sftp.realpath(name.as_str()).await {
            let path = &real.files[0].filename;
            assert!(
                path.starts_with('/') && path.split('/').all(|it| it != ".."),
                "{name:?} leads to {path:?}"
            );
        }
    }
    assert!(kept > 100 && refused > 100, "{kept} kept, {refused} refused");
    let rows = gateway.store().backend().scan(&Scan::all(Table::Drops)).unwrap();
    assert!(rows.len() < 1_000 && !rows.is_empty());
    assert_eq!(gateway.tree(), before, "0 outside");
    assert!(raw.sftp.stat("/").await.is_ok(), "the session lives");
    // And the others: whoever sends properly notices nothing.
    let laboratory = gateway.laboratory();
    laboratory.write("a", oru("S1"));
    laboratory.done("put a good.tmp\nrename good.tmp good.hl7\n").await;
    gateway.count(1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_too_many_handles_and_packets_that_are_none_are_refused() {
    let gateway = TestGateway::start_with(setup("", "session_bytes_max = 4096")).await;
    let raw_session = raw(gateway.sftp()).await;
    let sftp = &raw_session.sftp;
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    let opened = sftp.open("a.tmp", flags, FileAttributes::empty()).await.unwrap().handle;
    assert!(
        sftp.write(opened.as_str(), 10, b"late".to_vec()).await.unwrap_err().to_string().contains("S131")
    );
    sftp.write(opened.as_str(), 0, b"early".to_vec()).await.unwrap();
    assert!(sftp.read("17", 0, 10).await.is_err());
    let mut many = Vec::new();
    while let Ok(it) = sftp.opendir("/").await {
        many.push(it);
        assert!(many.len() < 100, "handles are not bounded");
    }
    assert!(
        sftp.extended("hardlink@openssh.com", Vec::new())
            .await
            .is_ok_and(|it| format!("{it:?}").contains("OpUnsupported"))
    );
    assert!(
        sftp.write(opened.as_str(), 5, vec![b'x'; 5_000]).await.is_err(),
        "above what a session may send"
    );
    until(async || sftp.stat("/").await.is_err().then_some(())).await;
    drop(raw_session);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_sessions_are_bounded_and_one_that_is_silent_ends() {
    let gateway = TestGateway::start_with(setup("", "sessions_max = 1\nidle_ms = 1500")).await;
    let first = raw(gateway.sftp()).await;
    first.sftp.stat("/").await.unwrap();
    assert!(!gateway.laboratory().sftp("pwd\n").await.done, "a second session above the limit");
    until(async || first.connection.is_closed().then_some(())).await;
    until(async || gateway.laboratory().sftp("pwd\n").await.done.then_some(())).await;
    let mut stranger = connect(gateway.sftp()).await;
    let wrong = PrivateKeyWithHashAlg::new(Arc::new(key_of(9)), None);
    assert!(!stranger.authenticate_publickey(FEED, wrong).await.unwrap().success());
    gateway.finish().await;
}
