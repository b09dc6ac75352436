//! `gateway mapping`: the built binary, beside a gateway that runs and without one.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests read what the commands write, and wait for processes"
)]

use std::fs;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::cli::Place;
use crate::mappings::CODES;
use crate::mappings::UNITS;
use crate::mappings::potassium;

const PATIENCE: Duration = Duration::from_mins(1);

/// A gateway's folder with mappings of its own and a feed of `inuvi`.
fn place() -> Place {
    let place = Place::configured();
    let (status, done) = place.json(&["mapping", "export", "mappings"]);
    assert_eq!((status, &done[0]["directory"]), (0, &json!("mappings")));
    let config = fs::read_to_string(place.path("gateway.toml")).unwrap();
    let more = "[mappings]\ndirectory = \"mappings\"\n[[lab]]\nname = \"inuvi\"\nmapping = \"inuvi\"\nclinics = [\"test\"]\n\
        [[lab.feed]]\nname = \"inuvi-mllp\"\nkind = \"mllp\"\nsenders = [\"INUVI|INUVI\"]\n";
    place.write("gateway.toml", &format!("{config}{more}"));
    place
}

fn table(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path("mappings").join(name)).unwrap()
}

fn until(what: &str, mut look: impl FnMut() -> bool) {
    let started = Instant::now();
    while !look() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Sends a message; its id once it stands so.
fn send(place: &Place, ready: &Value, raw: &[u8], state: &str) -> String {
    let name = place.write("message.hl7", std::str::from_utf8(raw).unwrap());
    let target = format!("mllp://{}", ready["mllp"].as_str().unwrap());
    let known = ids(place, state).len();
    assert_eq!(place.json(&["send", &target, &name]).0, 0);
    until("it is read", || ids(place, state).len() > known);
    ids(place, state).pop().unwrap()
}

fn ids(place: &Place, state: &str) -> Vec<String> {
    let (_, lines) = place.json(&["message", "list", "--state", state]);
    lines.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

fn digest(place: &Place) -> String {
    let (_, shown) = place.json(&["mapping", "active"]);
    let parts = shown[0]["parts"].as_array().unwrap();
    let part = parts.iter().find(|it| it["part"] == "labs/inuvi").unwrap();
    part["digest"].as_str().unwrap().to_owned()
}

#[test]
fn active_says_what_runs_and_with_no_gateway_what_would() {
    let place = place();
    let (status, alone) = place.json(&["mapping", "active"]);
    assert_eq!((status, &alone[0]["running"], &alone[0]["loaded_at"]), (0, &json!(false), &Value::Null));
    assert_eq!(place.run(&["mapping", "reload"]).status.code(), Some(1), "nobody is there to reload");
    let (running, _) = place.start(&["serve"]);
    let (status, shown) = place.json(&["mapping", "active"]);
    assert_eq!(
        (status, &shown[0]["running"], &shown[0]["disk"]["differs"]),
        (0, &json!(true), &json!(false))
    );
    let parts = shown[0]["parts"].as_array().unwrap();
    let inuvi = parts.iter().find(|it| it["part"] == "labs/inuvi").unwrap();
    assert_eq!((&inuvi["feeds"], &inuvi["loaded_at"]), (&json!(["inuvi-mllp"]), &shown[0]["loaded_at"]));
    let plain = String::from_utf8(place.run(&["mapping", "active"]).stdout).unwrap();
    assert!(plain.starts_with("running since ") && plain.contains("feeds inuvi-mllp"), "{plain}");

    place.write("mappings/labs/inuvi/mapping.toml", "schema = 1\n");
    let refused = place.run(&["mapping", "reload"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(told.contains("error[M003]") && told.contains("mappings/labs/inuvi/mapping.toml"), "{told}");
    let failed = place.run(&["mapping", "active"]);
    let plain = String::from_utf8(failed.stdout).unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        plain.contains("differs on disk: labs/inuvi/mapping.toml") && plain.contains("runs on"),
        "{plain}"
    );
    assert_eq!(running.stop(), Some(0));
    assert_eq!(place.run(&["mapping", "active"]).status.code(), Some(2), "nothing would run");
    assert_eq!(
        place.run(&["mapping", "export", "mappings"]).status.code(),
        Some(2),
        "no file is overwritten"
    );
}

#[test]
fn a_hang_up_reloads_and_ends_nothing() {
    let place = place();
    let (running, _) = place.start(&["serve"]);
    let before = digest(&place);
    place.write(&format!("mappings/{UNITS}"), &format!("{}milli-mol,mmol/L\n", table(&place, UNITS)));
    Command::new("kill").args(["-HUP", &running.0.id().to_string()]).status().unwrap();
    until("the change serves", || digest(&place) != before);
    assert_eq!(running.stop(), Some(0), "it ran on until it was told to end");
}

#[test]
fn an_unknown_code_is_resolved_into_the_table_and_what_waited_goes_on() {
    let place = place();
    let (running, ready) = place.start(&["serve"]);
    let first = send(&place, &ready, &potassium("1", "KPL", "mmol/L"), "held");
    let second = send(&place, &ready, &potassium("2", "KPL", "mmol/L"), "held");
    let other = send(&place, &ready, &potassium("3", "KXX", "mmol/L"), "held");
    let before = table(&place, CODES);

    let unknown = place.run(&["mapping", "resolve", &first, "--as", "potasium"]);
    let told = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(told.contains("M222") && told.contains("`--as potassium`"), "{told}");
    let wrong = ["mapping", "resolve", &first, "--code", "KXX", "--as", "potassium"];
    assert!(String::from_utf8(place.run(&wrong).stderr).unwrap().contains("M220"));
    let (status, dry) = place.json(&["mapping", "resolve", &first, "--as", "potassium", "--dry-run"]);
    assert_eq!(
        (status, &dry[0]["replayed"], table(&place, CODES)),
        (0, &json!([first, second]), before.clone())
    );

    let done = place.run(&["mapping", "resolve", &first, "--as", "potassium"]);
    let shown = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(shown.contains("\n+KPL,2823-3,Potassium\n"), "{shown}");
    let after = table(&place, CODES);
    let added = after.strip_prefix(&before).expect("nothing that was there changed");
    assert!(
        added.starts_with("# resolved 2")
            && added.contains(&format!("from message {first}\nKPL,2823-3,Potassium\n"))
    );
    until("both are mapped", || ids(&place, "mapped").len() == 2);
    assert_eq!(ids(&place, "held"), std::slice::from_ref(&other), "what waits for something else waits on");
    assert_eq!(place.json(&["message", "show", &first]).1[0]["mapping"], digest(&place));
    let (status, verified) = place.json(&["audit", "verify"]);
    assert_eq!((status, &verified[0]["verified"]), (0, &json!(true)));
    assert_eq!(running.stop(), Some(0));

    // With no gateway running the row is written all the same, and what waits is read at the next start.
    let (status, _) = place.json(&["mapping", "resolve", &other, "--as", "2823-3"]);
    assert_eq!((status, ids(&place, "waiting")), (0, vec![other]));
}

#[test]
fn a_unit_is_resolved_by_its_ucum_code_and_a_hold_of_several_asks_which() {
    let place = place();
    let (running, ready) = place.start(&["serve"]);
    let id = send(&place, &ready, &potassium("1", "KPL", "milli-mol, per L"), "held");
    let again = ["message", "replay", &id, "--mapping", "then", "--dry-run"];
    assert_eq!(place.run(&again).status.code(), Some(0));
    let asked = place.run(&["mapping", "resolve", &id, "--as", "mmol/L"]);
    let told = String::from_utf8(asked.stderr).unwrap();
    assert!(
        told.contains("M221") && told.contains("--code 'KPL'") && told.contains("--unit 'milli-mol, per L'"),
        "{told}"
    );
    let unit = ["mapping", "resolve", &id, "--unit", "milli-mol, per L"];
    assert_eq!(place.run(&[&unit[..], &["--as", "mmol/l/"]].concat()).status.code(), Some(2));
    assert_eq!(place.run(&[&unit[..], &["--as", "mmol/L", "--no-replay"]].concat()).status.code(), Some(0));
    assert!(table(&place, UNITS).ends_with("\"milli-mol, per L\",mmol/L\n"));
    assert_eq!(ids(&place, "held"), std::slice::from_ref(&id), "left as it is");
    assert_eq!(
        place.run(&["mapping", "resolve", &id, "--code", "KPL", "--as", "potassium"]).status.code(),
        Some(0)
    );
    until("it is mapped", || ids(&place, "mapped") == [id.clone()]);
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn what_is_in_the_binary_is_not_changed_in_place() {
    let place = Place::configured();
    let refused = place.run(&["mapping", "resolve", "01JH8Z3K5T6V7W8X9Y0Z1A2B3C", "--as", "potassium"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(told.contains("C080") && told.contains("gateway mapping export"), "{told}");
}
