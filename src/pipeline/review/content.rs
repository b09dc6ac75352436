//! What a case shows: its records put together, the two documents, and the hash over all of it that an approval signs.
//!
//! The hash covers what a clinician saw, the drafts' bytes included, so that nothing can differ between the look and
//! the signature. The final documents are a pure function of the same content, the approver and the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;

use crate::clinical::document;
use crate::clinical::document::Content;
use crate::clinical::document::Kind;
use crate::clinical::document::Standing;
use crate::clinical::lineage::How;
use crate::clinical::lineage::Reading;
use crate::clinical::model::Interpretation;
use crate::clinical::model::Moment;
use crate::clinical::model::Report;
use crate::clinical::model::ResultId;
use crate::clinical::model::Sensitive;
use crate::clinical::order::Order;
use crate::clinical::workflow::ContentDigest;
use crate::pipeline::Pipeline;
use crate::pipeline::orders;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::case::CaseNote;
use crate::pipeline::records::case::Edits;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Signed;
use crate::pipeline::records::lineage;
use crate::pipeline::records::order;
use crate::pipeline::records::person;
use crate::pipeline::records::report::ReportKey;
use crate::pipeline::review::Error;
use crate::pipeline::review::changes;
use crate::pipeline::review::changes::Change;
use crate::pipeline::review::changes::Read;
use crate::store;
use crate::store::Store;

/// Documents typeset at the same time: each takes tens of megabytes while it lasts.
const PRESSES: usize = 2;
static PRESS: Semaphore = Semaphore::const_new(PRESSES);

/// A case with all it is shown by, as the store held them together.
#[derive(Debug)]
pub struct Material {
    pub case: Case,
    pub reading: Reading,
    /// The versions it reads, oldest first, and when their laboratory wrote them.
    pub versions: Vec<(ReportKey, Option<Moment>)>,
    pub order: Option<Order>,
    ordered_by: Option<Sensitive<String>>,
    pub previous: Option<Previous>,
    plain_names: Vec<(ResultId, String)>,
}

/// The version this one supersedes.
#[derive(Debug)]
pub struct Previous {
    pub case: CaseId,
    pub version: u32,
    pub changes: Vec<Change>,
    /// When its newest version was written.
    pub said_at: Option<Moment>,
    approved_at: Option<jiff::Timestamp>,
}

impl Material {
    /// Reads what belongs to a case.
    pub(super) fn read(pipeline: &Pipeline, case: &Case) -> Result<Self, Error> {
        let (store, clinic) = (pipeline.store.as_ref(), case.clinic.as_str());
        let reading = lineage::reading(store, case)?;
        let versions = case
            .read_from()
            .iter()
            .map(|key| Ok((*key, said_at(&lineage::load(store, *key, clinic)?))))
            .collect::<Result<Vec<_>, store::Error>>()?;
        let report = &reading.report;
        let order = match report.order_number.as_deref() {
            Some(number) => order::by_number(store, clinic, number)?.map(|(_, order)| order),
            None => None,
        };
        let ordered_by = match order.as_ref().and_then(|order| order.ordered_by.parse().ok()) {
            Some(user) => person::load(store, user)?.map(|user| user.name),
            None => None,
        };
        let previous = match case.previous {
            Some(id) => previous(store, case, id, report)?,
            None => None,
        };
        let mappings = pipeline.mappings.now();
        let plain_names = report
            .results()
            .filter_map(|it| Some((it.id.clone(), mappings.knowledge.analyte_for(it)?.name.clone())))
            .collect();
        Ok(Self { case: case.clone(), reading, versions, order, ordered_by, previous, plain_names })
    }

    /// The content of both documents; none while nobody knows whose they are.
    fn content(&self) -> Option<Content<'_>> {
        let (case, patient) = (&self.case, self.case.patient.as_ref()?);
        let previous = self.previous.as_ref();
        Some(Content {
            clinic: orders::clinic_facts(&case.clinic),
            case_id: case.id.to_string(),
            case_version: case.version,
            order: self.order.as_ref().map(|order| document::OrderFacts {
                order_number: order.number.grouped(),
                tests: order.tests.iter().map(|test| test.name.clone()).collect(),
                ordered_at: order.ordered_at.to_string(),
                requested_by: self.ordered_by.as_ref().map(|name| name.expose().clone()),
            }),
            patient: patient_facts(patient),
            report: &self.reading.report,
            reads: self.reading.standing,
            interpretations: case.interpretation.as_slice(),
            edits: document::ClinicianEdits {
                summary_clinician: case.edits.clinician_text.as_ref().map(|text| text.expose().clone()),
                summary_patient: case.edits.patient_text.as_ref().map(|text| text.expose().clone()),
                notes: case.notes.iter().map(note).collect(),
            },
            contact_confirmed: case.edits.contact_confirmed,
            supersedes: previous.filter(|it| it.approved_at.is_some()).map(|it| document::Superseded {
                case_version: it.version,
                filed_at: it.approved_at.map(|at| at.to_string()),
            }),
            changes: previous
                .iter()
                .flat_map(|it| &it.changes)
                .filter_map(|change| {
                    let old = change.old.clone().unwrap_or_else(|| "not reported".to_owned());
                    Some((change.result.clone()?, old))
                })
                .collect(),
            changed: self.changed(),
            carried: self.carried(),
            plain_names: self.plain_names.iter().cloned().collect(),
            versions: vec![
                ("Gateway".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                ("Mapping".to_owned(), self.reading.report.origin.mapping_digest.clone()),
            ],
        })
    }
}

impl Material {
    /// What reads otherwise than in the version that a reader knows.
    fn changed(&self) -> Vec<document::Changed> {
        let Some(previous) = &self.previous else { return Vec::new() };
        let iso = |at: Option<Moment>| at.map(|at| at.iso);
        let now = said_at(&self.reading.report);
        let changed = |it: &Change| document::Changed {
            name: it.name.clone(),
            old: it.old.clone(),
            old_at: iso(previous.said_at.clone()),
            new: it.new.clone(),
            new_at: iso(now.clone()),
            status: it.status,
            crosses: it.crosses,
        };
        previous.changes.iter().map(changed).collect()
    }

    /// Panels that the newest version left out, and when they were sent.
    fn carried(&self) -> BTreeMap<String, Option<String>> {
        let mut carried = BTreeMap::new();
        for panel in &self.reading.report.panels {
            let Some(result) = panel.results.first() else { continue };
            let story = self.reading.stories.iter().find(|it| it.result == result.id);
            if let Some(How::CarriedOver { from } | How::VoidedWithPanel { from }) = story.map(|it| it.how) {
                let at = self.versions.get(from).and_then(|(_, at)| at.as_ref()).map(|at| at.iso.clone());
                carried.insert(panel.id.clone(), at);
            }
        }
        carried
    }
}

/// Both documents of a case, as bytes.
#[derive(Debug, Clone)]
pub(super) struct Papers {
    pub(super) clinician: Vec<u8>,
    pub(super) patient: Vec<u8>,
}

impl Papers {
    pub(super) fn of(self, kind: Kind) -> Vec<u8> {
        match kind {
            Kind::Clinician => self.clinician,
            Kind::Patient => self.patient,
        }
    }
}

/// What a draft reads, and its hash.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) papers: Papers,
    pub(super) digest: ContentDigest,
}

/// Makes both drafts and the hash over all that they and the case show.
pub(super) async fn draft(material: &Arc<Material>) -> Result<Draft, Error> {
    let papers = typeset(material, Standing::Draft).await?;
    let digest = digest(&material.case, &papers).ok_or(Error::NoPatient)?;
    Ok(Draft { papers, digest })
}

/// Makes both documents as this person approves them.
pub(super) async fn finals(material: &Arc<Material>, by: &Signed) -> Result<Papers, Error> {
    let approver = by.name.expose().clone();
    typeset(material, Standing::Approved { approver, registration: None, at: by.at.to_string() }).await
}

async fn typeset(material: &Arc<Material>, standing: Standing) -> Result<Papers, Error> {
    let _press = PRESS.acquire().await.map_err(|_| Error::Typesetter)?;
    let material = Arc::clone(material);
    let made = tokio::task::spawn_blocking(move || {
        let content = material.content().ok_or(Error::NoPatient)?;
        let render = |kind| document::render(kind, &content, &standing).map_err(Error::Document);
        let papers = render(Kind::Clinician)
            .and_then(|clinician| Ok(Papers { clinician, patient: render(Kind::Patient)? }));
        // The typesetter's cache is the process's; no patient stays in it.
        comemo::evict(0);
        papers
    });
    made.await.map_err(|_| Error::Typesetter)?
}

/// What is hashed. Fields of structs in this order and no maps: one content has one text.
#[derive(Serialize)]
struct Shown<'a> {
    case: CaseId,
    version: u32,
    report_sha256: &'a str,
    interpretation: Option<&'a Interpretation>,
    edits: &'a Edits,
    notes: &'a [CaseNote],
    patient: &'a MatchedPatient,
    clinician_draft_sha256: ContentDigest,
    patient_draft_sha256: ContentDigest,
}

fn digest(case: &Case, drafts: &Papers) -> Option<ContentDigest> {
    let shown = Shown {
        case: case.id,
        version: case.version,
        report_sha256: &case.report_sha256,
        interpretation: case.interpretation.as_ref(),
        edits: &case.edits,
        notes: &case.notes,
        patient: case.patient.as_ref()?,
        clinician_draft_sha256: sha256(&drafts.clinician),
        patient_draft_sha256: sha256(&drafts.patient),
    };
    Some(sha256(&serde_json::to_vec(&shown).expect("records have text keys and no failing serializer")))
}

pub(super) fn sha256(bytes: &[u8]) -> ContentDigest {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    ContentDigest(digest)
}

fn patient_facts(patient: &MatchedPatient) -> document::PatientFacts {
    document::PatientFacts {
        name: patient.name.clone(),
        birth_date: Some(patient.birth_date.expose().iso.clone().into()),
        nhs_number: patient.nhs_number.clone(),
        sex: patient.sex.clone().map(Into::into),
        cliniko_reference: Some(patient.cliniko_id.clone()),
    }
}

fn note(note: &CaseNote) -> document::ClinicianNote {
    document::ClinicianNote {
        author: note.by.name.expose().clone(),
        at: note.by.at.to_string(),
        text: note.text.expose().clone(),
    }
}

/// The report a case shows: its versions, read as one.
pub(super) fn load_report(store: &Store, case: &Case) -> Result<Report, store::Error> {
    Ok(lineage::reading(store, case)?.report)
}

/// When a version was written, as its laboratory gave it.
pub(super) fn said_at(report: &Report) -> Option<Moment> {
    report.origin.sent_at.as_ref().or_else(|| report.issued_at()).cloned()
}

fn previous(store: &Store, of: &Case, id: CaseId, now: &Report) -> Result<Option<Previous>, Error> {
    let Some(before) = case::load(store, &of.clinic, id)? else { return Ok(None) };
    let old = load_report(store, &before.case)?;
    Ok(Some(Previous {
        case: id,
        version: before.case.version,
        said_at: said_at(&old),
        changes: changes::between(
            Read { report: &old, interpretation: before.case.interpretation.as_ref() },
            Read { report: now, interpretation: of.interpretation.as_ref() },
        ),
        approved_at: before.case.approval.map(|approval| approval.by.at),
    }))
}
