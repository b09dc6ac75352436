//! `gateway message` on many messages at once: read again, closed, written out; with a gateway that runs and without.

use std::fs;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use super::NORMAL;
use super::ORDER;
use super::Place;
use super::text;

fn numbered(message: &str, control_id: &str, number: usize) -> String {
    message.replace(control_id, &format!("{control_id}{number}"))
}

fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of a list once it has so many.
fn until(place: &Place, list: &[&str], count: usize) -> Vec<String> {
    let started = Instant::now();
    loop {
        let (_, lines) = place.json(list);
        if lines.len() == count {
            return ids(&lines);
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{list:?} has {} lines", lines.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

const HELD: &[&str] = &["message", "list", "--state", "held"];
const QUARANTINE: &[&str] = &["message", "quarantine", "list"];

#[test]
fn many_messages_are_read_again_closed_and_written_out_in_the_order_received() {
    let place = Place::configured();
    let (running, ready) = place.start(&["serve"]);
    let target = format!("mllp://{}", ready["mllp"].as_str().unwrap());
    // No processing id: held, whatever else it is.
    let held: Vec<String> =
        (0..3).map(|number| numbered(NORMAL, "C-1", number).replace("|P|2.5.1", "||2.5.1")).collect();
    let rejected: String = (0..2).map(|number| numbered(ORDER, "C-2", number)).collect();
    place.write("in/1.hl7", &held.concat());
    place.write("in/2.hl7", &rejected);
    place.write("in/3.hl7", NORMAL);
    assert_eq!(place.json(&["send", &target, "in"]).0, 1);
    let received = until(&place, HELD, 3);

    let (status, lines) = place.json(&["message", "replay", "--held", "--dry-run"]);
    assert_eq!((status, ids(&lines)), (0, received.clone()));
    assert!(lines.iter().all(|it| it["state"] == "waiting"), "what it would be");
    assert_eq!(ids(&place.json(HELD).1), received, "nothing was done");
    let mended = ["message", "replay", "--held", "--feed", "standard-mllp", "--code", "M109"];
    assert_eq!((ids(&place.json(&mended).1), until(&place, HELD, 3)), (received.clone(), received.clone()));
    let others = ["message", "replay", "--held", "--code", "T014"];
    assert_eq!(place.json(&others), (0, Vec::new()), "none of them has this code");

    let (status, lines) = place.json(&["message", "export", "out", "--state", "held"]);
    assert_eq!((status, &lines[0]["written"]), (0, &Value::from(3)));
    for (id, bytes) in received.iter().zip(&held) {
        assert_eq!(fs::read_to_string(place.path(&format!("out/{id}.hl7"))).unwrap(), *bytes);
    }
    let again = place.run(&["message", "export", "out", "--state", "held"]);
    assert_eq!(again.status.code(), Some(1), "nothing is overwritten");

    let quarantined = until(&place, QUARANTINE, 2);
    let close =
        ["message", "quarantine", "discard", "--rejected", "--code", "H103", "--reason", "no results"];
    let (status, lines) = place.json(&close);
    assert_eq!((status, ids(&lines)), (0, quarantined.clone()));
    assert!(lines.iter().all(|it| it["discarded"]["by"] == "operator"));
    assert!(place.json(QUARANTINE).1.is_empty());
    assert_eq!(ids(&place.json(&[QUARANTINE, &["--all"]].concat()).1), quarantined);
    let twice = ["message", "discard", &quarantined[0], &received[0], "--reason", "sent again", "--dry-run"];
    let (status, lines) = place.json(&twice);
    assert_eq!((status, lines.len()), (1, 2), "one of them is closed already");
    assert!(lines[0]["error"].is_string() && lines[1]["error"].is_null(), "{lines:?}");
    let figures = place.json(&["message", "list", "--summary"]).1;
    let feed = figures.iter().find(|it| it["feed"] == "standard-mllp").unwrap();
    assert_eq!((&feed["held"], &feed["discarded"]), (&Value::from(3), &Value::from(2)));

    assert_eq!(running.stop(), Some(0));
    let (status, lines) =
        place.json(&["message", "discard", "--held", "--reason", "the laboratory sent anew"]);
    assert_eq!((status, ids(&lines)), (0, received), "the same with no gateway that runs");
    let plain = place.run(&["message", "discard", "--held", "--reason", "again"]);
    assert_eq!((plain.status.code(), text(&plain.stdout)), (Some(0), String::new()), "none waits any more");
    assert_eq!(place.run(&["message", "replay"]).status.code(), Some(2), "which?");
    assert_eq!(place.run(&["message", "discard", "--held"]).status.code(), Some(2), "why?");
}
