//! What the demonstration can check of the promises, after the journey.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::demo::Told;
use crate::cli::demo::browser::Browser;
use crate::cli::demo::journey;
use crate::cli::demo::text;
use crate::cli::demo::world::CLINICIAN;
use crate::cli::demo::world::World;
use crate::pipeline::records::message;
use crate::pipeline::records::message::State;

/// Whether all was kept, and the numbers behind it.
pub(super) struct Outcome {
    pub(super) kept: bool,
    pub(super) document: Value,
}

pub(super) async fn check(world: &World, told: &Told) -> Result<Outcome, Failure> {
    let store = &world.gateway.pipeline.store;
    let count = |state: State| store.counter(&state.counter());
    let [waiting, mapped, held, rejected] =
        [count(State::Waiting), count(State::Mapped), count(State::Held), count(State::Rejected)];
    let (waiting, mapped, held, rejected) = (
        waiting.map_err(anyhow::Error::from)?,
        mapped.map_err(anyhow::Error::from)?,
        held.map_err(anyhow::Error::from)?,
        rejected.map_err(anyhow::Error::from)?,
    );
    let duplicates = store.counter(message::DUPLICATES).map_err(anyhow::Error::from)?;
    let kept = i64::try_from(rows(world)?).unwrap_or(i64::MAX);
    let sent = i64::try_from(world.sent()).unwrap_or(i64::MAX);
    let conservation = sent == kept + duplicates && kept == waiting + mapped + held + rejected;
    let clinician = Browser::sign_in(world.gateway.http, CLINICIAN.email, CLINICIAN.password).await?;
    let cases = journey::list(&clinician, "").await?;
    let in_state = |state: &str| cases.iter().filter(|case| text(case, "state") == state).count();
    let records = world.cliniko.records();
    let written = |list: &str| {
        records
            .get(list)
            .and_then(Value::as_array)
            .map_or(0, |rows| rows.iter().filter(|row| is_ours(row)).count())
    };
    let forbidden = world.cliniko.forbidden().len();
    let audit = store.verify_audit(None).map_err(anyhow::Error::from)?;
    let (attachments, notes, filed) =
        (written("patient_attachments"), written("treatment_notes"), in_state("filed"));
    let checks = [
        ("R24 nothing vanished: sent = kept + duplicates, kept = the sum of its states", conservation),
        (
            "R7  each filed case has exactly two documents and one note",
            attachments == filed * 2 && notes == filed,
        ),
        ("R8  nothing outside the allow-list was asked of Cliniko", forbidden == 0),
        ("R2  the audit chain verifies", audit.verified),
        ("R11 nothing was filed that is not approved", world.cliniko_effects_are_approved(&records)?),
    ];
    let doors: Map<String, Value> =
        world.sent_by_door().into_iter().map(|(by, sent)| (by.as_str().to_owned(), sent.into())).collect();
    told.say("\nMessages by door:");
    for (door, sent) in &doors {
        told.say(&format!("  {door:<6} {sent}"));
    }
    told.say("\nPromises:");
    for (promise, is_kept) in checks {
        told.say(&format!("  {:<6} {promise}", if is_kept { "kept" } else { "BROKEN" }));
    }
    let document = json!({
        "messages": {
            "sent": sent, "kept": kept, "duplicates": duplicates,
            "waiting": waiting, "mapped": mapped, "held": held, "rejected": rejected,
        },
        "cases": {
            "in_review": in_state("in_review"), "approved": in_state("approved"),
            "filed": filed, "held": in_state("held"),
        },
        "cliniko": { "attachments": attachments, "treatment_notes": notes, "forbidden": forbidden },
        "audit": { "entries": audit.entries, "verified": audit.verified },
        "conservation": conservation,
        "doors": doors,
    });
    Ok(Outcome { kept: checks.iter().all(|(_, is_kept)| *is_kept), document })
}

/// Whether the gateway wrote it: everything it writes carries a marker.
fn is_ours(row: &Value) -> bool {
    ["description", "title"].iter().any(|field| text(row, field).contains("LAB-"))
}

/// How many messages the store holds, counted row by row.
fn rows(world: &World) -> anyhow::Result<usize> {
    use crate::store::Scan;
    use crate::store::Table;
    let mut scan = Scan::all(Table::MessageStates);
    let mut count = 0;
    loop {
        let page = world.gateway.pipeline.store.scan_plain(&scan)?;
        let Some((last, _)) = page.last() else { return Ok(count) };
        count += page.len();
        scan = scan.after(last);
    }
}
