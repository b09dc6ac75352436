//! Step 7: what people do with a case. Permission is an argument: who holds a [`Clinician`] is one.
//!
//! A clinician sees everything of their clinic's cases, and each look is in the audit chain. Everybody else sees where
//! a case stands. What is approved is the content as shown, by its hash; the final documents, the approval and the
//! state change in one transaction, and only those bytes are ever filed (R11). Another clinic's case is as absent as
//! none (R10).
//! Start at [`view`], then [`decisions::approve`].

mod by_hand;
pub mod changes;
mod content;
mod decisions;
mod error;
mod worklist;

use std::sync::Arc;

use jiff::Timestamp;

use crate::audit;
use crate::clinical::document::Kind;
use crate::clinical::model::Attachment;
use crate::clinical::model::Moment;
use crate::clinical::model::ReportStatus;
use crate::clinical::workflow::State;
use crate::pipeline::Pipeline;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::call;
use crate::pipeline::records::call::Call;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::lineage;
use crate::pipeline::records::report::ReportKey;
use crate::pipeline::review::content::Draft;
use crate::pipeline::review::content::sha256;
use crate::pipeline::sessions::Actor;
use crate::pipeline::sessions::Clinician;
use crate::store;
use crate::store::Change;
use crate::store::Table;
use crate::telemetry::Chain;

pub use self::by_hand::match_by_hand;
pub use self::content::Material;
pub use self::content::Previous;
pub use self::decisions::Edit;
pub use self::decisions::approve;
pub use self::decisions::edit;
pub use self::decisions::note;
pub use self::decisions::reject;
pub use self::decisions::release;
pub use self::error::Error;
pub use self::worklist::Clinical;
pub use self::worklist::Cursor;
pub use self::worklist::Filter;
pub use self::worklist::Held;
pub use self::worklist::Hold;
pub use self::worklist::Holds;
pub use self::worklist::HoldsCursor;
pub use self::worklist::HoldsFilter;
pub use self::worklist::MessageView;
pub use self::worklist::Page;
pub use self::worklist::Row;
pub use self::worklist::STATES;
pub use self::worklist::critical_unseen;
pub use self::worklist::holds;
pub use self::worklist::list;
pub use self::worklist::message_status;
pub use self::worklist::state_from_word;

/// How often a look is taken anew when the case changes under it.
const LOOKS_MAX: usize = 3;

/// A case as a clinician sees it.
pub struct View {
    pub stored: Stored,
    pub material: Arc<Material>,
    /// What an approval must name; none while the case has no patient or its documents cannot be made.
    pub content_sha256: Option<String>,
    /// Every version of its lineage that has a case, oldest first.
    pub versions: Vec<VersionRow>,
    /// The planned Cliniko calls, in the order of the plan; none before the release.
    pub calls: Vec<Call>,
}

/// A version of a lineage, as a reader of another sees it.
pub struct VersionRow {
    pub case: CaseId,
    pub version: u32,
    pub state: State,
    pub report: ReportKey,
    pub status: ReportStatus,
    /// When the laboratory wrote it.
    pub said_at: Option<Moment>,
    pub received_at: Timestamp,
    pub approved_at: Option<Timestamp>,
}

fn versions(store: &store::Store, case: &Case) -> Result<Vec<VersionRow>, store::Error> {
    let cases = case::of_lineage(store, &case.clinic, &case.lineage)?;
    cases
        .into_iter()
        .map(|it| {
            let report = lineage::load(store, it.case.report, &it.case.clinic)?;
            Ok(VersionRow {
                case: it.case.id,
                version: it.case.version,
                state: it.standing.state,
                report: it.case.report,
                status: report.status,
                said_at: content::said_at(&report),
                received_at: lineage::received_at(it.case.report),
                approved_at: it.case.approval.map(|approval| approval.by.at),
            })
        })
        .collect()
}

/// Everything about one case. The first clinician who looks is noted, and every look is audited.
pub async fn view(pipeline: &Pipeline, by: &Clinician, id: CaseId) -> Result<View, Error> {
    let mut looks = 0;
    loop {
        looks += 1;
        match look(pipeline, by, id).await {
            Err(Error::ChangedMeanwhile) if looks < LOOKS_MAX => {}
            other => return other,
        }
    }
}

async fn look(pipeline: &Pipeline, by: &Clinician, id: CaseId) -> Result<View, Error> {
    let actor = by.actor();
    let mut stored = open(pipeline, actor, id)?;
    let material = Arc::new(Material::read(pipeline, &stored.case)?);
    let content_sha256 = match &stored.case.approval {
        Some(approval) => Some(approval.content_sha256.clone()),
        None => drafted(&material).await?.map(|draft| draft.digest.to_string()),
    };
    let now = pipeline.clock.now();
    let mut change = Change::new();
    change.audit(
        audit::Entry::new(now, actor.user.to_string(), "case.read", id.to_string())
            .of_clinic(actor.clinic.clone())
            .with("version", stored.case.version),
    );
    if stored.case.seen.is_none() {
        let before = stored.standing.clone();
        stored.case.seen = Some(actor.signed(now));
        stored.update(&mut change, &before);
    }
    pipeline.store.commit(change).await?;
    let calls = call::of_case(&pipeline.store, &actor.clinic, id)?;
    let versions = versions(&pipeline.store, &stored.case)?;
    Ok(View { stored, material, content_sha256, versions, calls })
}

/// The drafts, unless there is no patient yet. That they cannot be made must not hide the results.
async fn drafted(material: &Arc<Material>) -> Result<Option<Draft>, Error> {
    match content::draft(material).await {
        Ok(draft) => Ok(Some(draft)),
        Err(Error::NoPatient) => Ok(None),
        Err(error @ (Error::Document(_) | Error::Typesetter)) => {
            let id = material.case.id;
            tracing::error!(case.id = %id, error = %Chain(&error), "could not make the drafts of a case");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Where one case stands, for everybody of the clinic.
pub fn status(pipeline: &Pipeline, actor: &Actor, id: CaseId) -> Result<Row, Error> {
    let stored = open(pipeline, actor, id)?;
    Row::new(&pipeline.store, &stored, actor)
}

/// One of the documents: the draft as it would read now, or the bytes that were approved.
pub async fn document(pipeline: &Pipeline, by: &Clinician, id: CaseId, kind: Kind) -> Result<Vec<u8>, Error> {
    let actor = by.actor();
    let stored = open(pipeline, actor, id)?;
    let pdf = if stored.case.approval.is_some() {
        approved(&pipeline.store, &stored, kind)?
    } else {
        let material = Arc::new(Material::read(pipeline, &stored.case)?);
        content::draft(&material).await?.papers.of(kind)
    };
    let mut change = Change::new();
    change.audit(
        audit::Entry::new(pipeline.clock.now(), actor.user.to_string(), "document.read", id.to_string())
            .of_clinic(actor.clinic.clone())
            .with("kind", word(kind))
            .with("sha256", sha256(&pdf).to_string()),
    );
    pipeline.store.commit(change).await?;
    Ok(pdf)
}

/// The bytes of the report's document `number`, counted from one, and what is known of it. Each look is audited.
pub async fn attachment(
    pipeline: &Pipeline,
    by: &Clinician,
    id: CaseId,
    number: u16,
) -> Result<(Attachment, Vec<u8>), Error> {
    let actor = by.actor();
    let stored = open(pipeline, actor, id)?;
    let report = lineage::reading(&pipeline.store, &stored.case)?.report;
    let index = number.checked_sub(1).ok_or(Error::NotFound)?;
    let attachment = report.attachments.get(usize::from(index)).ok_or(Error::NotFound)?;
    let bytes = lineage::attachment(&pipeline.store, &stored.case, attachment)?.ok_or(Error::NotFound)?;
    let mut change = Change::new();
    change.audit(
        audit::Entry::new(pipeline.clock.now(), actor.user.to_string(), "attachment.read", id.to_string())
            .of_clinic(actor.clinic.clone())
            .with("number", u64::from(number))
            .with("sha256", attachment.sha256.clone().unwrap_or_default()),
    );
    pipeline.store.commit(change).await?;
    Ok((attachment.clone(), bytes))
}

/// The approved bytes of a document: what may be filed, and nothing else.
///
/// # Errors
/// [`store::Error::Damaged`] where the bytes are not those that were approved.
pub fn approved(store: &store::Store, stored: &Stored, kind: Kind) -> Result<Vec<u8>, store::Error> {
    let damaged = store::Error::Damaged { table: Table::Documents };
    let Some(approval) = &stored.case.approval else { return Err(damaged) };
    let expected = match kind {
        Kind::Clinician => &approval.clinician_pdf_sha256,
        Kind::Patient => &approval.patient_pdf_sha256,
    };
    let pdf = store.get_sealed(Table::Documents, &document_key(stored.case.id, kind), &stored.scope())?;
    pdf.filter(|pdf| sha256(pdf).to_string() == *expected).ok_or(damaged)
}

/// Case, then which of its two documents.
pub fn document_key(id: CaseId, kind: Kind) -> Vec<u8> {
    let letter = match kind {
        Kind::Clinician => b'c',
        Kind::Patient => b'p',
    };
    [id.key().as_slice(), &[letter]].concat()
}

/// The word for a document in paths and in the audit chain.
pub const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Clinician => "clinician",
        Kind::Patient => "patient",
    }
}

/// Notes that somebody asked for what their role does not allow.
pub async fn record_refusal(pipeline: &Pipeline, actor: &Actor, asked: &str) -> Result<(), Error> {
    let mut change = Change::new();
    change.audit(
        audit::Entry::new(pipeline.clock.now(), actor.user.to_string(), "access.refused", asked)
            .of_clinic(actor.clinic.clone()),
    );
    pipeline.store.commit(change).await?;
    Ok(())
}

fn open(pipeline: &Pipeline, actor: &Actor, id: CaseId) -> Result<Stored, Error> {
    case::load(&pipeline.store, &actor.clinic, id)?.ok_or(Error::NotFound)
}
