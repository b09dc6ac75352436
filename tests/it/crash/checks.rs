//! What must hold after every kill, read from the store itself, from the command line and from the simulated Cliniko.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use haemosync_gateway::audit::Entry;
use haemosync_gateway::clinical::workflow::State;
use haemosync_gateway::pipeline::records::CaseId;
use haemosync_gateway::pipeline::records::call;
use haemosync_gateway::pipeline::records::call::Call;
use haemosync_gateway::pipeline::records::call::What;
use haemosync_gateway::pipeline::records::case;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::sha256_hex;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::store::Store;
use haemosync_gateway::store::trail;
use serde_json::Value;

use crate::crash::laboratory::Sent;
use crate::crash::line::Answer;
use crate::crash::line::By;
use crate::crash::process::CLINIC;
use crate::crash::process::Home;

/// What was counted, where nothing was broken.
pub(crate) struct Counted {
    messages: usize,
    /// By the door that has fewest.
    fewest: usize,
    sends: u32,
    duplicates: i64,
    approved: usize,
    effects: usize,
    found_by_look_up: usize,
    audit_entries: u64,
}

impl Counted {
    /// Whether there was something to lose: more messages than kills, by every door half as many, and effects in Cliniko.
    pub(crate) fn is_telling(&self, kills: u64) -> bool {
        let least = |count: usize, least| u64::try_from(count).is_ok_and(|count| count > least);
        least(self.messages, kills) && least(self.fewest, kills / 2) && self.effects > 0
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, fewest, sends, duplicates, approved, effects, found_by_look_up, audit_entries } =
            self;
        write!(
            f,
            "{messages} messages acknowledged, {fewest} or more by each door ({sends} sends, {duplicates} answered as before), 0 lost; {approved} cases \
             approved, {effects} effects ({found_by_look_up} found again by look-up), 0 doubled; \
             {audit_entries} audit entries verified"
        )
    }
}

/// Checks everything, and fails with all that is broken.
pub(crate) async fn check(
    home: &Home,
    cliniko: &cliniko::Running,
    ledger: &[Sent],
    listed: &str,
    acknowledged: &[String],
) -> Counted {
    let verified: Value = serde_json::from_str(&home.ask(&["audit", "verify"]).await).unwrap();
    let store = home.store().await;
    let mut broken = Vec::new();
    broken.extend((verified["verified"] != true).then(|| "R2: the audit chain does not verify".to_owned()));
    broken.extend(
        cliniko.forbidden().iter().map(|it| format!("R8: forbidden: {} {}", it["method"], it["path"])),
    );
    messages(&store, ledger, listed, &mut broken);
    let approvals = approvals(&store);
    for id in acknowledged.iter().filter(|id| !approvals.contains_key(*id)) {
        broken.push(format!("R1: the answered approval of case {id} is lost"));
    }
    let effects = effects(&cliniko.records());
    let found_by_look_up = filed(&store, &approvals, &effects, &mut broken);
    assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), home.log());
    Counted {
        messages: ledger.len(),
        fewest: By::ALL.map(|by| ledger.iter().filter(|it| it.by == by).count()).into_iter().min().unwrap(),
        sends: ledger.iter().map(|it| it.times).sum(),
        duplicates: store.counter(message::DUPLICATES).unwrap(),
        approved: approvals.len(),
        effects: effects.len(),
        found_by_look_up,
        audit_entries: verified["entries"].as_u64().unwrap(),
    }
}

/// R1, R6, R24: each message that was sent is kept once, byte for byte, and each kept message is in one state.
fn messages(store: &Store, ledger: &[Sent], listed: &str, broken: &mut Vec<String>) {
    let mut kept: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in listed.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        kept.entry(line["sha256"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    for sent in ledger {
        let rows = kept.remove(&sha256_hex(&sent.bytes)).unwrap_or_default();
        let control_id = &sent.control_id;
        match rows.as_slice() {
            [row] => {
                let id = row["id"].as_str().unwrap().parse().unwrap();
                let scope = message::scope_of(row["feed"].as_str());
                let message = message::load(store, id, &scope).unwrap().unwrap();
                let is_as_answered = match &sent.answer {
                    Some(Answer::Acknowledged(answer)) => message.acknowledgement == *answer,
                    Some(Answer::Taken) => true,
                    None => false,
                };
                if message.raw != sent.bytes || !is_as_answered {
                    broken
                        .push(format!("R1: message {control_id} or its answer is not as it was on the wire"));
                }
            }
            [] => broken.push(format!("R1: message {control_id} was acknowledged and is lost")),
            several => broken.push(format!("R6: message {control_id} is kept {} times", several.len())),
        }
    }
    broken.extend(kept.keys().map(|sha256| format!("R24: nobody sent the kept message {sha256}")));
    for state in message::State::ALL {
        let counted = store.counter(&state.counter()).unwrap();
        let rows =
            listed.lines().filter(|line| line.contains(&format!("\"state\":\"{}\"", state.as_str()))).count();
        if counted != i64::try_from(rows).unwrap() {
            broken.push(format!("R24: {rows} messages are {}, and {counted} are counted", state.as_str()));
        }
    }
}

/// The approvals in the audit chain, by case.
fn approvals(store: &Store) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut first = 0;
    loop {
        let page = trail::entries(store.backend(), first, usize::MAX).unwrap();
        let Some((last, _)) = page.last() else { return found };
        first = last + 1;
        let approved = page.into_iter().map(|(_, entry)| entry).filter(|it| it.act == "case.approved");
        found.extend(approved.map(|entry| (entry.object.clone(), entry)));
    }
}

/// What the gateway wrote in Cliniko: the marker, and the digest of a file's bytes.
pub(crate) fn effects(records: &Value) -> Vec<(String, Option<String>)> {
    let rows = ["patient_attachments", "treatment_notes"].map(|list| records[list].as_array().unwrap());
    rows.into_iter()
        .flatten()
        .filter_map(|row| {
            let text = row["description"].as_str().or(row["title"].as_str())?;
            let marker = text.rsplit_once("[LAB-")?.1.trim_end_matches(']');
            Some((format!("LAB-{marker}"), row["sha256"].as_str().map(str::to_owned)))
        })
        .collect()
}

/// R7, R11: each approved case is filed with exactly its three effects, and there is no other effect; how many were
/// found by a look-up.
fn filed(
    store: &Store,
    approvals: &BTreeMap<String, Entry>,
    effects: &[(String, Option<String>)],
    broken: &mut Vec<String>,
) -> usize {
    let mut planned = BTreeSet::new();
    let mut found_by_look_up = 0;
    for (id, approval) in approvals {
        let case: CaseId = id.parse().unwrap();
        let stored = case::load(store, CLINIC, case).unwrap().unwrap();
        if stored.standing.state != State::Filed {
            let codes: Vec<&str> = stored.case.holds.iter().map(|it| it.code.as_str()).collect();
            broken.push(format!("R7: approved case {id} is {}: {codes:?}", stored.standing.state.as_str()));
        }
        let calls = call::of_case(store, CLINIC, case).unwrap();
        if calls.len() != 3 {
            broken.push(format!("R7: case {id} has {} planned calls", calls.len()));
        }
        for call in calls {
            let there: Vec<_> = effects.iter().filter(|(marker, _)| *marker == call.marker).collect();
            let [(_, sha256)] = there.as_slice() else {
                broken.push(format!("R7: call `{}` of case {id} happened {} times", call.id, there.len()));
                continue;
            };
            if let What::Attachment { .. } = call.what {
                let approved = ["clinician_pdf", "patient_pdf"]
                    .iter()
                    .any(|name| approval.detail.get(*name).and_then(Value::as_str) == sha256.as_deref());
                if !approved {
                    broken.push(format!("R11: file `{}` of case {id} is not one that was approved", call.id));
                }
            }
            found_by_look_up += usize::from(is_found_by_look_up(&call));
            if !is_verified(&call) {
                broken.push(format!(
                    "R7: call `{}` of case {id} was never compared with what was approved",
                    call.id
                ));
            }
            planned.insert(call.marker);
        }
    }
    for (marker, _) in effects.iter().filter(|(marker, _)| !planned.contains(marker)) {
        broken.push(format!("R11: {marker} is in Cliniko, and no approved case planned it"));
    }
    found_by_look_up
}

fn is_found_by_look_up(call: &Call) -> bool {
    matches!(call.phase, call::Phase::Confirmed { found_by: call::FoundBy::LookUp, .. })
}

fn is_verified(call: &Call) -> bool {
    matches!(call.phase, call::Phase::Confirmed { verified: true, .. })
}
