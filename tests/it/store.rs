//! The contract of a store, and one suite that every backend passes: promises R1, R2, R4, R5 and R6 as far as they are
//! the store's. `contract!` runs it against the embedded backend, and against that one behind the fault injector.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use haemosync_gateway::audit;
use haemosync_gateway::security::blind_index::Field;
use haemosync_gateway::security::keys::MasterKey;
use haemosync_gateway::security::keys::Scope;
use haemosync_gateway::security::tokens::Signer;
use haemosync_gateway::store::Backend;
use haemosync_gateway::store::Change;
use haemosync_gateway::store::Embedded;
use haemosync_gateway::store::Error;
use haemosync_gateway::store::PART_BYTES;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Store;
use haemosync_gateway::store::Table;
use haemosync_gateway::store::backend::Operation;
use haemosync_gateway::store::backend::Write;
use haemosync_gateway::store::embedded::Config;
use haemosync_gateway::store::embedded::FILE_NAME;
use haemosync_gateway::store::faulty::Fault;
use haemosync_gateway::store::faulty::Faulty;
use haemosync_gateway::store::trail;
use haemosync_gateway::store::verify_audit;
use jiff::Timestamp;
use tempfile::TempDir;
use tempfile::tempdir;

const MASTER: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// How a kind of backend is opened on a directory.
type Opener = fn(&Path) -> Result<Arc<dyn Backend>, Error>;

fn embedded(directory: &Path) -> Result<Arc<dyn Backend>, Error> {
    Ok(Arc::new(Embedded::open(&Config::new(directory))?))
}

fn behind_the_fault_injector(directory: &Path) -> Result<Arc<dyn Backend>, Error> {
    Ok(Arc::new(Faulty::new(embedded(directory)?)))
}

macro_rules! contract {
    ($($case:ident,)*) => {
        mod embedded_backend {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Room::new(super::embedded)).await; })*
        }
        mod faulty_backend {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Room::new(super::behind_the_fault_injector)).await; })*
        }
    };
}

contract! {
    a_change_commits_whole_or_not_at_all,
    conflicts_stay_alone_in_their_group,
    scans_are_ordered_bounded_and_paged,
    the_audit_chain_links_and_goes_on_after_reopening,
    counts_add_up,
    r01_what_was_answered_is_there_after_reopening,
    r02_concurrent_producers_lose_and_double_nothing,
    r05_no_plaintext_reaches_the_file,
    r05_swapped_rows_are_refused,
    long_values_come_back_whole_and_leave_nothing_behind,
    r05_a_part_of_another_value_is_refused,
    r05_a_damaged_plain_row_is_refused,
    r05_a_damaged_audit_row_is_found_at_its_index,
    r06_one_of_many_with_the_same_identifier_wins,
    lookups_find_their_scope_and_field_only,
    scope_keys_are_made_once,
    a_wrong_key_or_format_is_refused,
    secrets_are_made_once_and_kept,
    limits_are_kept,
}

/// A directory that a store may be opened on again and again.
struct Room {
    directory: TempDir,
    open: Opener,
}

impl Room {
    fn new(open: Opener) -> Self {
        Self { directory: tempdir().unwrap(), open }
    }

    fn backend(&self) -> Arc<dyn Backend> {
        (self.open)(self.directory.path()).unwrap()
    }

    async fn store(&self) -> Store {
        Store::open(self.backend(), MasterKey::parse(MASTER).unwrap()).await.unwrap()
    }
}

fn change(build: impl FnOnce(&mut Change)) -> Change {
    let mut change = Change::new();
    build(&mut change);
    change
}

fn entry(object: &str) -> audit::Entry {
    audit::Entry::new(Timestamp::UNIX_EPOCH, "feed-1", "message.kept", object)
}

fn clinic(id: &str) -> Scope {
    Scope::Clinic(id.to_owned())
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Write {
    let operations = vec![Operation::Put { table, key: key.to_vec(), value: value.to_vec() }];
    Write { operations, ..Write::default() }
}

async fn a_change_commits_whole_or_not_at_all(room: Room) {
    let store = room.store().await;
    let keep = || {
        change(|change| {
            change
                .expect_absent(Table::Messages, b"m1")
                .put_sealed(Table::Messages, b"m1", &Scope::Feed("f".to_owned()), "MSH")
                .put_plain(Table::MessageStates, b"m1", "waiting")
                .put_plain(Table::Jobs, b"j1", "read m1")
                .index(Table::Messages, b"m1", &Scope::Feed("f".to_owned()), Field::ControlId, "17")
                .count("messages.waiting", 1)
                .audit(entry("m1"));
        })
    };
    let committed = store.commit(keep()).await.unwrap();
    assert_eq!(committed.audit_entries, 1);

    let refused = store.commit(keep()).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { table: Table::Messages }), "{refused}");
    assert_eq!(store.counter("messages.waiting").unwrap(), 1);
    assert_eq!(store.verify_audit(Some(committed.audit_head)).unwrap().entries, 1);

    // A compare-and-set on the state, the way every step of a message goes on.
    let step = |from: &'static str, to: &'static str| {
        change(|change| {
            change
                .expect_present(Table::Jobs, b"j1")
                .expect_equals(Table::MessageStates, b"m1", from)
                .put_plain(Table::MessageStates, b"m1", to)
                .delete(Table::Jobs, b"j1");
        })
    };
    assert!(matches!(store.commit(step("held", "mapped")).await, Err(Error::Conflict { .. })));
    store.commit(step("waiting", "mapped")).await.unwrap();
    assert_eq!(store.get_plain(Table::MessageStates, b"m1").unwrap().unwrap(), b"mapped");
    assert_eq!(store.get_plain(Table::Jobs, b"j1").unwrap(), None);
    assert!(matches!(
        store.commit(step("mapped", "held")).await,
        Err(Error::Conflict { table: Table::Jobs })
    ));
}

async fn conflicts_stay_alone_in_their_group(room: Room) {
    let store = room.store().await;
    let claims = (0..200_u32).map(|n| {
        let change = change(|change| {
            // Each row is claimed twice; which of the two wins is for the order of arrival.
            let key = (n / 2).to_be_bytes();
            change.expect_absent(Table::Jobs, &key).put_plain(Table::Jobs, &key, n.to_be_bytes());
            change.count("claimed", 1).audit(entry("j"));
        });
        store.commit(change)
    });
    let outcomes = join_all(claims).await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 100);
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict { table: Table::Jobs })))
    );
    assert_eq!(store.counter("claimed").unwrap(), 100);
    assert_eq!(store.verify_audit(None).unwrap().entries, 100);
}

async fn scans_are_ordered_bounded_and_paged(room: Room) {
    let store = room.store().await;
    let write = change(|change| {
        for n in (0..50_u8).rev() {
            change.put_plain(Table::Jobs, &[b'a', n], [n]).put_plain(Table::Jobs, &[b'b', n], [n]);
        }
    });
    store.commit(write).await.unwrap();
    let keys = |scan: &Scan| -> Vec<u8> {
        store.scan_plain(scan).unwrap().into_iter().map(|(key, _)| key[1]).collect()
    };

    let prefix = Scan::prefix(Table::Jobs, b"a");
    assert_eq!(keys(&prefix), (0..50).collect::<Vec<_>>());
    assert_eq!(keys(&prefix.clone().limit(3)), [0, 1, 2]);
    assert_eq!(keys(&prefix.clone().limit(3).after(&[b'a', 2])), [3, 4, 5]);
    assert_eq!(keys(&prefix.clone().descending().limit(3)), [49, 48, 47]);
    assert_eq!(keys(&prefix.clone().descending().limit(3).after(&[b'a', 47])), [46, 45, 44]);
    assert_eq!(keys(&prefix.clone().from(&[b'a', 48])), [48, 49]);
    assert_eq!(keys(&prefix.clone().until(&[b'a', 2])), [0, 1]);
    assert_eq!(keys(&prefix.after(b"c")), Vec::<u8>::new());
    assert_eq!(store.scan_plain(&Scan::all(Table::Jobs)).unwrap().len(), 100);
    assert_eq!(store.scan_plain(&Scan::all(Table::Cases)).unwrap().len(), 0);
}

async fn the_audit_chain_links_and_goes_on_after_reopening(room: Room) {
    for round in 1..=3_u64 {
        let store = room.store().await;
        let write = change(|change| {
            change.audit(entry("m1").with("round", round)).audit(entry("m2"));
        });
        let committed = store.commit(write).await.unwrap();
        let verified = store.verify_audit(Some(committed.audit_head)).unwrap();
        assert_eq!((verified.entries, verified.verified, verified.first_bad), (2 * round, true, None));
    }

    // No key is needed, and a head from elsewhere that does not fit is told.
    let backend = room.backend();
    assert_eq!(verify_audit(backend.as_ref(), None).unwrap().entries, 6);
    assert_eq!(verify_audit(backend.as_ref(), Some(audit::Hash::ORIGIN)).unwrap().first_bad, Some(6));

    let entries = trail::entries(backend.as_ref(), 2, 1).unwrap();
    assert_eq!(entries, [(2, entry("m1").with("round", 2))]);
    let latest = trail::latest(backend.as_ref(), Some(5), 2).unwrap();
    assert_eq!(latest.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [4, 3]);
}

async fn counts_add_up(room: Room) {
    let store = room.store().await;
    let add = |name: &'static str, delta| {
        store.commit(change(|change| {
            change.count(name, delta);
        }))
    };
    join_all((1..=100).map(|n| add("messages.kept", n))).await;
    add("messages.held", 3).await.unwrap();
    add("messages.held", -2).await.unwrap();
    add("cases.filed", 1).await.unwrap();

    let counts = store.counters("messages.").unwrap();
    assert_eq!(counts, [("messages.held".to_owned(), 1), ("messages.kept".to_owned(), 5050)]);
    assert_eq!(store.counter("never").unwrap(), 0);
}

async fn r01_what_was_answered_is_there_after_reopening(room: Room) {
    let scope = clinic("north");
    for n in 0..20_u8 {
        let store = room.store().await;
        let write = change(|change| {
            change.put_sealed(Table::Reports, &[n], &scope, vec![n; 300]);
        });
        store.commit(write).await.unwrap();
    }
    let store = room.store().await;
    let rows = store.scan_sealed(&Scan::all(Table::Reports), &scope).unwrap();
    assert_eq!(rows, (0..20_u8).map(|n| (vec![n], vec![n; 300])).collect::<Vec<_>>());
}

async fn r02_concurrent_producers_lose_and_double_nothing(room: Room) {
    let store = Arc::new(room.store().await);
    let scope = Scope::Feed("f".to_owned());
    let producers = (0..16_u8).map(|producer| {
        let (store, scope) = (Arc::clone(&store), scope.clone());
        tokio::spawn(async move {
            for n in 0..50_u8 {
                let key = [producer, n];
                let write = change(|change| {
                    change.expect_absent(Table::Messages, &key).put_sealed(
                        Table::Messages,
                        &key,
                        &scope,
                        key,
                    );
                    change.count("kept", 1).audit(entry("m"));
                });
                store.commit(write).await.unwrap();
            }
        })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await.unwrap();
    }

    let rows = store.scan_sealed(&Scan::all(Table::Messages), &scope).unwrap();
    assert_eq!(rows.len(), 800);
    assert!(rows.iter().all(|(key, value)| key == value));
    assert_eq!(store.counter("kept").unwrap(), 800);
    let verified = store.verify_audit(None).unwrap();
    assert_eq!((verified.entries, verified.verified), (800, true));
}

async fn r05_no_plaintext_reaches_the_file(room: Room) {
    const CANARY: &str = "Quibblethorpe 943 476 5919";
    let store = room.store().await;
    let scope = clinic("north");
    let write = change(|change| {
        change.put_sealed(Table::Reports, b"r1", &scope, CANARY);
        change.index(Table::Reports, b"r1", &scope, Field::NhsNumber, CANARY);
        change.index(Table::Reports, b"r1", &scope, Field::NameAndBirthDate, CANARY);
    });
    store.commit(write).await.unwrap();
    drop(store);

    let hex: Vec<u8> = CANARY
        .bytes()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| b"0123456789abcdef"[usize::from(digit)])
        .collect();
    let wide: Vec<u8> = CANARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // Base64 has three alignments; the middle of each is fixed by the canary alone.
    let base64 = (0..3).map(|skip| STANDARD.encode(&CANARY[skip..skip + 21]).into_bytes());
    let needles = [CANARY.into(), CANARY.to_lowercase().into(), "9434765919".into(), hex, wide];
    let needles: Vec<Vec<u8>> = needles.into_iter().chain(base64).collect();
    #[expect(clippy::disallowed_methods, reason = "the test looks at the file itself")]
    let bytes = fs::read(room.directory.path().join(FILE_NAME)).unwrap();
    for needle in needles {
        assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{needle:?}");
    }
}

async fn r05_swapped_rows_are_refused(room: Room) {
    let store = room.store().await;
    let (north, south) = (clinic("north"), clinic("south"));
    let write = change(|change| {
        change.put_sealed(Table::Reports, b"r1", &north, "one").put_sealed(
            Table::Reports,
            b"r2",
            &north,
            "two",
        );
        change.put_sealed(Table::Reports, b"s1", &south, "three");
    });
    store.commit(write).await.unwrap();
    let refused = |key: &[u8], scope: &Scope| {
        matches!(
            store.get_sealed(Table::Reports, key, scope),
            Err(Error::Sealed { table: Table::Reports, .. })
        )
    };
    assert!(refused(b"s1", &north), "another clinic's row does not open");

    let raw = |key: &[u8]| store.backend().get(Table::Reports, key).unwrap().unwrap();
    let (first, second) = (raw(b"r1"), raw(b"r2"));
    store.backend().commit(put(Table::Reports, b"r1", &second)).await.unwrap();
    store.backend().commit(put(Table::Reports, b"r2", &first)).await.unwrap();
    assert!(refused(b"r1", &north) && refused(b"r2", &north));
    assert!(store.scan_sealed(&Scan::all(Table::Reports), &north).is_err());
}

async fn long_values_come_back_whole_and_leave_nothing_behind(room: Room) {
    let store = room.store().await;
    let scope = clinic("north");
    let long = |seed: u8, bytes: usize| -> Vec<u8> {
        (0..=250).cycle().take(bytes).map(|it: u8| it ^ seed).collect()
    };
    let parts = || store.backend().scan(&Scan::all(Table::Parts)).unwrap();
    let found = |key: &[u8]| store.get_sealed(Table::Messages, key, &scope).unwrap();
    let keep = async |key: &[u8], value: &[u8]| {
        let write = change(|change| {
            change.put_sealed(Table::Messages, key, &scope, value);
        });
        store.commit(write).await.unwrap();
    };
    for bytes in [PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 3 * PART_BYTES + 7] {
        let value = long(1, bytes);
        keep(b"m1", &value).await;
        assert_eq!(found(b"m1").unwrap(), value, "{bytes} bytes");
        let expected = if bytes > PART_BYTES { bytes.div_ceil(PART_BYTES) } else { 0 };
        assert_eq!(parts().len(), expected, "{bytes} bytes");
    }
    keep(b"m10", &long(2, PART_BYTES * 2)).await;
    keep(b"m1", b"short").await;
    assert_eq!(found(b"m1").unwrap(), b"short");
    assert_eq!(
        found(b"m10").unwrap(),
        long(2, PART_BYTES * 2),
        "a row whose key begins alike keeps its parts"
    );
    let all = store.scan_sealed(&Scan::all(Table::Messages), &scope).unwrap();
    assert_eq!(all.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), [5, PART_BYTES * 2]);
    let write = change(|change| {
        change.delete(Table::Messages, b"m10");
    });
    store.commit(write).await.unwrap();
    assert!(found(b"m10").is_none() && parts().is_empty());
}

async fn r05_a_part_of_another_value_is_refused(room: Room) {
    let store = room.store().await;
    let scope = clinic("north");
    let keep = async |value: &[u8]| {
        let write = change(|change| {
            change.put_sealed(Table::Messages, b"m1", &scope, value);
        });
        store.commit(write).await.unwrap();
    };
    let parts = || store.backend().scan(&Scan::all(Table::Parts)).unwrap();
    keep(&vec![1; PART_BYTES * 2]).await;
    let earlier = parts();
    keep(&vec![2; PART_BYTES * 2]).await;
    let refused = || {
        let found = store.get_sealed(Table::Messages, b"m1", &scope);
        matches!(
            found,
            Err(Error::Sealed { table: Table::Parts, .. } | Error::Damaged { table: Table::Messages })
        )
    };
    let later = parts();
    let ((first, _), (second, of_second)) = (&later[0], &later[1]);
    store.backend().commit(put(Table::Parts, first, &earlier[0].1)).await.unwrap();
    assert!(refused(), "the first part of the value that stood here before");
    store.backend().commit(put(Table::Parts, first, of_second)).await.unwrap();
    assert!(refused(), "the second part in place of the first");
    let operations = vec![Operation::Delete { table: Table::Parts, key: second.clone() }];
    store.backend().commit(Write { operations, ..Write::default() }).await.unwrap();
    store.backend().commit(put(Table::Parts, first, &later[0].1)).await.unwrap();
    assert!(refused(), "a part is missing");
}

async fn r05_a_damaged_plain_row_is_refused(room: Room) {
    let store = room.store().await;
    store
        .commit(change(|change| {
            change.put_plain(Table::Jobs, b"j1", "waiting");
        }))
        .await
        .unwrap();
    let mut raw = store.backend().get(Table::Jobs, b"j1").unwrap().unwrap();
    raw[0] ^= 1;
    store.backend().commit(put(Table::Jobs, b"j1", &raw)).await.unwrap();

    assert!(matches!(store.get_plain(Table::Jobs, b"j1"), Err(Error::Damaged { table: Table::Jobs })));
}

async fn r05_a_damaged_audit_row_is_found_at_its_index(room: Room) {
    let store = room.store().await;
    store
        .commit(change(|change| {
            for _ in 0..10 {
                change.audit(entry("m"));
            }
        }))
        .await
        .unwrap();
    for index in [9_u64, 4, 0] {
        let key = index.to_be_bytes();
        let mut raw = store.backend().get(Table::Audit, &key).unwrap().unwrap();
        *raw.last_mut().unwrap() ^= 1;
        store.backend().commit(put(Table::Audit, &key, &raw)).await.unwrap();
        let verified = store.verify_audit(None).unwrap();
        assert_eq!((verified.entries, verified.verified, verified.first_bad), (10, false, Some(index)));
    }
}

async fn r06_one_of_many_with_the_same_identifier_wins(room: Room) {
    let store = room.store().await;
    let scope = Scope::Feed("f".to_owned());
    let resends = (0..64_u8).map(|n| {
        let write = change(|change| {
            change.index_unique(Table::Messages, &[n], &scope, Field::ControlId, "17");
            change.put_sealed(Table::Messages, &[n], &scope, "MSH");
        });
        store.commit(write)
    });
    let outcomes = join_all(resends).await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(store.find(Table::Messages, &scope, Field::ControlId, "17").unwrap().len(), 1);
    assert_eq!(store.scan_sealed(&Scan::all(Table::Messages), &scope).unwrap().len(), 1);
}

async fn lookups_find_their_scope_and_field_only(room: Room) {
    let store = room.store().await;
    let (north, south) = (clinic("north"), clinic("south"));
    let write = change(|change| {
        for (key, scope) in [(b"r2", &north), (b"r1", &north), (b"s1", &south)] {
            change.index(Table::Reports, key, scope, Field::NhsNumber, "943 476 5919");
        }
        change.index(Table::Patients, b"p1", &north, Field::NhsNumber, "9434765919");
    });
    store.commit(write).await.unwrap();
    let find = |table, scope: &Scope, field| store.find(table, scope, field, "943-476-5919").unwrap();

    assert_eq!(find(Table::Reports, &north, Field::NhsNumber), [b"r1", b"r2"]);
    assert_eq!(find(Table::Reports, &south, Field::NhsNumber), [b"s1"]);
    assert_eq!(find(Table::Patients, &north, Field::NhsNumber), [b"p1"]);
    assert!(find(Table::Reports, &north, Field::ClinikoId).is_empty());
    assert!(find(Table::Reports, &clinic("nobody"), Field::NhsNumber).is_empty());

    let undo = change(|change| {
        change.unindex(Table::Reports, b"r1", &north, Field::NhsNumber, "9434765919");
    });
    store.commit(undo).await.unwrap();
    assert_eq!(find(Table::Reports, &north, Field::NhsNumber), [b"r2"]);
}

async fn scope_keys_are_made_once(room: Room) {
    let store = room.store().await;
    let scope = clinic("new");
    let writes = (0..32_u8).map(|n| {
        store.commit(change(|change| {
            change.put_sealed(Table::Reports, &[n], &scope, "value");
        }))
    });
    assert!(join_all(writes).await.iter().all(Result::is_ok));
    let marker = store.mac(&scope, "marker", &[b"lab", b"filler"]).await.unwrap();
    drop(store);

    let store = room.store().await;
    let rows = store.scan_sealed(&Scan::all(Table::Reports), &scope).unwrap();
    assert_eq!(rows.len(), 32);
    assert_eq!(store.mac(&scope, "marker", &[b"lab", b"filler"]).await.unwrap(), marker);
    assert_ne!(store.mac(&clinic("other"), "marker", &[b"lab", b"filler"]).await.unwrap(), marker);
}

async fn a_wrong_key_or_format_is_refused(room: Room) {
    drop(room.store().await);
    let other = MasterKey::parse(&MasterKey::generate_text()).unwrap();
    let refused = Store::open(room.backend(), other).await.unwrap_err();
    assert!(matches!(refused, Error::WrongKey), "{refused}");
    drop(room.store().await);

    let reopen = async |key: &[u8], operation: Operation| {
        let backend = room.backend();
        let before = backend.get(Table::Meta, key).unwrap().unwrap();
        let write = Write { operations: vec![operation], ..Write::default() };
        backend.commit(write).await.unwrap();
        let outcome = Store::open(Arc::clone(&backend), MasterKey::parse(MASTER).unwrap()).await;
        backend.commit(put(Table::Meta, key, &before)).await.unwrap();
        outcome.map(drop).unwrap_err()
    };
    let (table, key) = (Table::Meta, b"format".to_vec());
    let newer = Operation::Put { table, key: key.clone(), value: b"2".to_vec() };
    assert!(matches!(reopen(b"format", newer).await, Error::UnknownFormat { found, .. } if found == "2"));
    let lost = Operation::Delete { table, key };
    assert!(matches!(reopen(b"format", lost).await, Error::Damaged { table: Table::Meta }));
    let lost = Operation::Delete { table, key: b"key check value".to_vec() };
    assert!(matches!(reopen(b"key check value", lost).await, Error::WrongKey));
    drop(room.store().await);
}

async fn secrets_are_made_once_and_kept(room: Room) {
    let store = room.store().await;
    let first = store.secret("session signing", Signer::generate).await.unwrap();
    drop(store);
    let store = room.store().await;
    let again = store.secret("session signing", Signer::generate).await.unwrap();
    assert_eq!(*first, *again);
    assert!(Signer::from_pkcs8(&again).is_ok());
}

async fn limits_are_kept(room: Room) {
    let store = room.store().await;
    let long = "x".repeat(audit::LINE_BYTES_MAX);
    let write = change(|change| {
        change.put_plain(Table::Jobs, b"j1", "x").audit(entry("m").with("note", long));
    });
    assert!(matches!(store.commit(write).await, Err(Error::TooLarge { table: Table::Audit, .. })));
    assert_eq!(store.get_plain(Table::Jobs, b"j1").unwrap(), None);
}

#[tokio::test]
async fn a_second_owner_is_refused_and_told_why() {
    let room = Room::new(embedded);
    let store = room.store().await;
    let refused = embedded(room.directory.path()).unwrap_err();
    assert!(matches!(refused, Error::AlreadyOpen { .. }));
    assert!(refused.to_string().contains("a store has one owner"), "{refused}");
    drop(store);
    drop(room.store().await);
}

#[tokio::test]
async fn a_store_is_only_made_when_it_is_asked_for() {
    let directory = tempdir().unwrap();
    let refused = Embedded::open_existing(&Config::new(directory.path())).unwrap_err();
    assert!(matches!(refused, Error::NoStore { .. }));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let directory = tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test damages the file itself")]
    fs::write(directory.path().join(FILE_NAME), vec![7; 8192]).unwrap();
    assert!(matches!(embedded(directory.path()), Err(Error::Open { .. })));
}

#[tokio::test]
async fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let room = tempdir().unwrap();
    let directory = room.path().join("data");
    let backend = embedded(&directory).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&directory.join(FILE_NAME))), (0o700, 0o600));
    drop(backend);
}

#[tokio::test]
async fn faults_come_when_they_are_asked_for() {
    let room = Room::new(embedded);
    let faulty = Arc::new(Faulty::new(room.backend()));
    let store = Store::open(faulty.clone(), MasterKey::parse(MASTER).unwrap()).await.unwrap();
    let add = || {
        store.commit(change(|change| {
            change.count("tries", 1).audit(entry("m"));
        }))
    };

    faulty.fail_commit(2, Fault::BeforeEffect);
    faulty.fail_commit(3, Fault::AfterEffect);
    assert!(add().await.is_ok());
    assert!(matches!(add().await, Err(Error::Write(_))));
    assert_eq!(store.counter("tries").unwrap(), 1);
    assert!(matches!(add().await, Err(Error::Write(_))));
    assert_eq!(store.counter("tries").unwrap(), 2);
    assert_eq!(store.verify_audit(None).unwrap().entries, 2);

    faulty.fail_reads(true);
    assert!(matches!(store.counter("tries"), Err(Error::Read(_))));
    faulty.fail_reads(false);

    faulty.stop(true);
    assert!(!store.is_writable());
    assert!(matches!(add().await, Err(Error::NotWritable)));
    faulty.stop(false);
    assert!(add().await.is_ok());
}

/// Runs futures side by side and answers in their order.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut outcomes: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, outcome) in futures.iter_mut().zip(&mut outcomes) {
            if outcome.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *outcome = Some(value);
            }
        }
        if outcomes.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outcomes.into_iter().flatten().collect()
}
