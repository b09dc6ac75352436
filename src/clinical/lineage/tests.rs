//! Every order of arrival, and what each kind of version does.

use jiff::Timestamp;
use serde_json::Value as Json;
use serde_json::json;

use super::*;

const LETTERS: [char; 6] = ['P', 'F', 'C', 'A', 'X', 'W'];

fn time(second: usize) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + i64::try_from(second).unwrap()).unwrap()
}

/// A result: code, sub-id, value and status.
type Line<'a> = (&'a str, &'a str, &'a str, &'a str);

fn report_at(second: usize, status: &str, lines: &[Line<'_>]) -> Report {
    let results: Vec<Json> = lines
        .iter()
        .enumerate()
        .map(|(at, (code, sub, value, word))| {
            let (status, detail) = StatusDetail::read(word).unwrap();
            let value = if value.is_empty() {
                json!({"kind": "absent", "reason": "unknown"})
            } else {
                json!({"kind": "quantity", "sent": value, "number": value})
            };
            let mut result = json!({"id": format!("OBX[{}]", at + 1), "value": value, "status": status,
                "code": {"codings": [{"code": code}], "text": code}, "unit": {"sent": "mmol/L"}});
            if !sub.is_empty() {
                result["sub_id"] = json!(sub);
            }
            if let Some(detail) = detail {
                result["detail"] = json!(detail);
            }
            result
        })
        .collect();
    let at = time(second).to_string();
    serde_json::from_value(json!({
        "lab": "north", "filler_number": "F1", "status": status, "patient": {},
        "panels": [{"id": "OBR[1]", "code": {"codings": [{"code": "UE"}], "text": "U&E"}, "status": status,
            "results": results}],
        "origin": {"control_id": second.to_string(), "sender": "A|B", "mapping_digest": "",
            "sent_at": {"sent": at, "iso": at}}
    }))
    .unwrap()
}

fn version(report: &Report, arrived: usize) -> Version<'_> {
    Version { report, received_at: time(10_000 + arrived) }
}

fn reading(versions: &[&Report]) -> Reading {
    let versions: Vec<_> = versions.iter().enumerate().map(|(at, it)| version(it, at)).collect();
    let order = in_order(&versions);
    read(&order.iter().map(|at| versions[*at].report).collect::<Vec<_>>()).unwrap()
}

/// Each result of a reading: code and sub-id, value, status, how.
fn told(reading: &Reading) -> Vec<String> {
    reading
        .report
        .results()
        .zip(&reading.stories)
        .map(|(it, story)| {
            assert_eq!(it.id, story.result, "one story for each result, in its order");
            let sub = it.sub_id.as_deref().unwrap_or("");
            format!("{}{sub} {} {} {:?}", it.code.label(), it.value.as_sent(), it.status.as_str(), story.how)
        })
        .collect()
}

/// The six versions of a lineage in one of five shapes, each a second later than the one before.
fn shape(number: usize) -> Vec<Report> {
    const STATUS: [(&str, &str); 6] = [
        ("preliminary", "preliminary"),
        ("final", "final"),
        ("corrected", "corrected"),
        ("amended", "amended"),
        ("cancelled", "cancelled"),
        ("entered-in-error", "wrong-patient"),
    ];
    STATUS
        .iter()
        .enumerate()
        .map(|(at, (report, result))| {
            let value = format!("14{at}");
            let other = format!("4.{at}");
            let lines: Vec<Line<'_>> = match number {
                0 => vec![("NA", "", &value, result)],
                1 => vec![("NA", "", &value, result), ("K", "", &other, result), ("UREA", "", "5.0", result)],
                // Partial, then more and more of it.
                2 if at < 1 => vec![("NA", "", &value, result)],
                2 => vec![("NA", "", &value, result), ("K", "", &other, result)],
                // Fewer analytes than before; the correction names only what it corrects.
                3 if at < 1 => {
                    vec![("NA", "", &value, result), ("K", "", &other, result), ("CL", "", "99", result)]
                }
                3 if at < 4 => vec![("NA", "", &value, result)],
                3 => vec![("K", "", &other, result)],
                _ => vec![("NA", "1", &value, result), ("NA", "2", &other, result), ("NA", "2", "7", result)],
            };
            report_at(at, report, &lines)
        })
        .collect()
}

/// Every ordered choice of some of `count` things.
fn ordered_subsets(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    let mut last: Vec<Vec<usize>> = vec![vec![]];
    for _ in 0..count {
        last = last
            .iter()
            .flat_map(|some| {
                (0..count).filter(|it| !some.contains(it)).map(move |it| [some.as_slice(), &[it]].concat())
            })
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// What stands after versions arrived one by one, as the pipeline keeps it: the reading after the last that counted.
fn after(arrivals: &[&Report]) -> Option<Reading> {
    let (mut known, mut current) = (Vec::new(), None);
    for (at, report) in arrivals.iter().enumerate() {
        let newcomer = version(report, at);
        let arrival = arrive(&known, newcomer);
        assert!(!matches!(arrival, Arrival::Conflict(_)), "their times tell them apart");
        if matches!(arrival, Arrival::Repeat(_)) {
            continue;
        }
        known.push(newcomer);
        if arrival == Arrival::Current {
            current = Some(reading(&known.iter().map(|it| it.report).collect::<Vec<_>>()));
        }
    }
    current
}

#[test]
fn r09_every_arrival_order_ends_the_same() {
    let orders = ordered_subsets(LETTERS.len());
    assert_eq!(orders.len(), 1957);
    for number in 0..5 {
        let versions = shape(number);
        // The same again under another control id, written later: no version of its own.
        let again: Vec<Report> = versions
            .iter()
            .map(|it| {
                let mut again = it.clone();
                again.origin.control_id.push_str("-again");
                again.origin.sent_at = Some(Moment { sent: String::new(), iso: time(600).to_string() });
                again
            })
            .collect();
        for order in &orders {
            let name: String = order.iter().map(|at| LETTERS[*at]).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            let expected = after(&sorted.iter().map(|at| &versions[*at]).collect::<Vec<_>>());
            let mut arrivals: Vec<&Report> = order.iter().map(|at| &versions[*at]).collect();
            let plain = after(&arrivals);
            // Each comes again at the end, and the first one comes again before it came.
            arrivals.extend(order.iter().map(|at| &again[*at]));
            if let Some(first) = order.last() {
                arrivals.insert(0, &again[*first]);
            }
            for (ended, how) in [(plain, "once"), (after(&arrivals), "with duplicates")] {
                let same = match (&ended, &expected) {
                    (Some(ended), Some(expected)) => {
                        ended.reads_as(expected) && told(ended).len() == told(expected).len()
                    }
                    (ended, expected) => ended.is_none() && expected.is_none(),
                };
                assert!(
                    same,
                    "shape {number}, order {name}, {how}: {:?} is not {:?}",
                    ended.as_ref().map(told),
                    expected.as_ref().map(told)
                );
            }
        }
    }
}

#[test]
fn every_version_stays_readable_in_the_story() {
    let versions = shape(0);
    let reading = reading(&versions.iter().rev().collect::<Vec<_>>());
    let said: Vec<_> =
        reading.stories[0].said.iter().map(|it| (it.value.as_str(), it.status.as_str())).collect();
    assert_eq!(
        said,
        [
            ("140", "preliminary"),
            ("141", "final"),
            ("142", "corrected"),
            ("143", "amended"),
            ("144", "cancelled"),
            ("145", "entered-in-error")
        ]
    );
    assert_eq!(reading.standing, Standing::Withdrawn);
    assert_eq!(reading.stories[0].said[5].detail, Some(StatusDetail::WrongPatient));
}

#[test]
fn trap_14_a_final_with_fewer_analytes_deletes_nothing() {
    let interim =
        report_at(1, "preliminary", &[("NA", "", "140", "preliminary"), ("K", "", "4.1", "preliminary")]);
    let last = report_at(2, "final", &[("NA", "", "141", "final")]);
    let reading = reading(&[&last, &interim]);
    assert_eq!(told(&reading), ["NA 141 final AsSent", "K 4.1 preliminary CarriedOver { from: 0 }"]);
    assert_eq!(reading.standing, Standing::Complete);
    let ids: Vec<_> = reading.report.results().map(|it| it.id.0.as_str()).collect();
    assert_eq!(ids, ["OBX[1]", "1:OBX[2]"]);
    assert_eq!(reading.report.panels[1].id, "1:OBR[1]");
}

#[test]
fn a_value_that_is_not_sent_again_is_promoted_from_whichever_version_sent_it() {
    let interim = report_at(1, "preliminary", &[("NA", "", "140", "preliminary")]);
    let promoted = report_at(2, "final", &[("NA", "", "", "value-stands")]);
    let both = reading(&[&promoted, &interim]);
    assert_eq!(told(&both), ["NA 140 final Promoted { from: 0 }"]);
    assert_eq!(both.standing, Standing::Complete);
    assert_eq!(told(&reading(&[&promoted])), ["NA  final AsSent"], "what never came is not invented");
    // A final result without a value says that there is none.
    let bare = report_at(2, "final", &[("NA", "", "", "final")]);
    assert_eq!(told(&reading(&[&interim, &bare])), ["NA  final AsSent"]);
    let withdrawn = report_at(1, "final", &[("NA", "", "140", "entered-in-error")]);
    assert_eq!(
        told(&reading(&[&withdrawn, &promoted])),
        ["NA  final AsSent"],
        "what was taken back does not stand"
    );
}

#[test]
fn a_cancelled_panel_without_results_voids_what_it_had() {
    let first = report_at(1, "final", &[("NA", "", "140", "final")]);
    let cancelled = report_at(2, "cancelled", &[]);
    let reading = reading(&[&first, &cancelled]);
    assert_eq!(told(&reading), ["NA 140 cancelled VoidedWithPanel { from: 0 }"]);
    assert_eq!(reading.standing, Standing::Cancelled);
    assert_eq!(reading.stories[0].said.last().map(|it| it.status), Some(ResultStatus::Cancelled));
}

#[test]
fn r10_nothing_of_another_person_is_carried_over() {
    let born = |mut report: Report, date: &str| {
        report.patient.birth_date = Some(Moment { sent: date.to_owned(), iso: date.to_owned() }.into());
        report
    };
    let one =
        born(report_at(1, "final", &[("NA", "", "140", "final"), ("K", "", "4.1", "final")]), "1970-05-04");
    let other = born(report_at(2, "corrected", &[("NA", "", "", "value-stands")]), "1982-05-04");
    let reading = reading(&[&one, &other]);
    assert_eq!(told(&reading), ["NA  final AsSent"]);
    assert_eq!(reading.of_another, [0]);
}

#[test]
fn r06_the_same_key_with_another_value_is_a_conflict_unless_it_corrects_or_was_written_at_another_time() {
    let first = report_at(1, "final", &[("NA", "", "140", "final"), ("K", "", "4.1", "final")]);
    let arrival = |second, status: &str, value: &str, word: &str| {
        let newcomer = report_at(second, status, &[("K", "", "4.1", "final"), ("NA", "", value, word)]);
        arrive(&[version(&first, 0)], version(&newcomer, 1))
    };
    let conflict = Arrival::Conflict(Conflict { with: 0, result: ResultId("OBX[2]".to_owned()) });
    assert_eq!(arrival(1, "final", "150", "final"), conflict);
    assert_eq!(arrival(1, "final", "150", "corrected"), Arrival::Current);
    assert_eq!(arrival(1, "corrected", "150", "final"), Arrival::Current);
    assert_eq!(arrival(1, "final", "150", "preliminary"), Arrival::Current, "another status is another key");
    assert_eq!(arrival(2, "final", "150", "final"), Arrival::Current, "written later: a version");
    assert_eq!(arrival(0, "final", "150", "final"), Arrival::Late, "written earlier: an older version");
    assert_eq!(arrive(&[version(&first, 0)], version(&first, 1)), Arrival::Repeat(0));
}

#[test]
fn local_times_of_one_laboratory_are_compared_as_its_clock_showed_them() {
    let local = |sent: &str, value: &str| {
        let mut report = report_at(1, "final", &[("NA", "", value, "final")]);
        report.origin.sent_at = Some(Moment { sent: sent.to_owned(), iso: "2026-11-22".to_owned() });
        report
    };
    let (older, newer) = (local("202611220930", "140"), local("202611220931", "141"));
    assert_eq!(told(&reading(&[&newer, &older])), ["NA 141 final AsSent"]);
    // Days alone tell nothing of one day: what arrived later is the newer.
    let (one, other) = (local("20261122", "140"), local("20261122", "141"));
    assert_eq!(said_at(&one), None);
    assert_eq!(told(&reading(&[&other, &one])), ["NA 140 final AsSent"]);
}
