//! A case: one report version under review, with all that people and interpreters said of it.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Interpretation;
use crate::clinical::model::Moment;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Urgency;
use crate::clinical::terminology::nhs_number;
use crate::clinical::workflow::State;
use crate::clock::Id;
use crate::diagnostic::Diagnostic;
use crate::formats::cliniko;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::UserId;
use crate::pipeline::records::clinic::Clinic;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::pipeline::records::report::ReportKey;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;

/// The sealed record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub id: CaseId,
    pub clinic: String,
    /// `lab|filler number`: versions of one report share it.
    pub lineage: String,
    /// 1 for the first report of the lineage, one more for each that followed.
    pub version: u32,
    /// The report whose arrival opened it.
    pub report: ReportKey,
    /// The versions it reads as one, oldest first; empty in a case that reads its report alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<ReportKey>,
    /// The report it contradicts, until a person has decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts_with: Option<ReportKey>,
    /// SHA-256 of the report as read, in hexadecimal.
    pub report_sha256: String,
    /// The case this one supersedes.
    pub previous: Option<CaseId>,
    pub opened_at: Timestamp,
    pub patient: Option<MatchedPatient>,
    /// The patient a person may want to choose; never used by itself.
    pub suggested_patient_id: Option<String>,
    pub interpretation: Option<Interpretation>,
    pub edits: Edits,
    pub notes: Vec<CaseNote>,
    pub approval: Option<Approval>,
    pub rejection: Option<Rejection>,
    /// Why a person must act, where one must.
    pub holds: Vec<Diagnostic>,
    /// The first clinician who opened it.
    pub seen: Option<Signed>,
}

impl Case {
    /// The reports it reads as one, oldest first.
    pub fn read_from(&self) -> &[ReportKey] {
        if self.versions.is_empty() { std::slice::from_ref(&self.report) } else { &self.versions }
    }
}

/// Who the report belongs to, as read from Cliniko when it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedPatient {
    pub cliniko_id: String,
    pub name: Sensitive<String>,
    pub birth_date: Sensitive<Moment>,
    pub sex: Option<String>,
    pub nhs_number: Option<Sensitive<String>>,
    /// What agreed, one line each, or the reason a person gave.
    pub evidence: Vec<String>,
    /// None: the decision table decided.
    pub matched_by: Option<Signed>,
}

impl MatchedPatient {
    /// The fields of a Cliniko patient that a case keeps: who it was when it was decided.
    pub fn of(clinic: &Clinic, patient: &cliniko::read::Patient) -> Self {
        let name = [patient.title.as_deref(), patient.first_name.as_deref(), patient.last_name.as_deref()];
        let name: Vec<&str> = name.into_iter().flatten().collect();
        let born = patient.date_of_birth.map(|date| date.to_string()).unwrap_or_default();
        let field = clinic.nhs_number_field.as_deref().and_then(|token| patient.custom_field(token));
        let nhs_number = match field.map(nhs_number::read) {
            Some(nhs_number::Reading::Valid(number)) => Some(number.into()),
            _ => None,
        };
        Self {
            cliniko_id: patient.id.to_string(),
            name: name.join(" ").into(),
            birth_date: Sensitive::new(Moment { sent: born.clone(), iso: born }),
            sex: patient.sex.clone(),
            nhs_number,
            evidence: Vec::new(),
            matched_by: None,
        }
    }

    /// Whether both are the same identity, however each was found.
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.cliniko_id == other.cliniko_id
            && self.name == other.name
            && self.birth_date == other.birth_date
            && self.nhs_number == other.nhs_number
    }
}

/// A person and a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    pub user: UserId,
    pub name: Sensitive<String>,
    pub at: Timestamp,
}

/// What the clinician changed in the draft. `None` leaves the interpreters' words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    pub clinician_text: Option<Sensitive<String>>,
    pub patient_text: Option<Sensitive<String>>,
    /// A person has spoken to the patient, so that urgent wording may be in the patient's document.
    #[serde(default)]
    pub contact_confirmed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseNote {
    pub by: Signed,
    pub text: Sensitive<String>,
}

/// A clinician's signature over exact hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: Signed,
    /// Of the content as shown: report version, findings, edits and both drafts.
    pub content_sha256: String,
    /// Of the final documents; only these bytes are filed.
    pub clinician_pdf_sha256: String,
    pub patient_pdf_sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub by: Signed,
    pub reason: Sensitive<String>,
}

/// The plain row beside the sealed one: what lists and guards need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub clinic: String,
    pub state: State,
    pub urgency: Option<Urgency>,
    /// Counts every change; a change made on an older one is a conflict.
    pub revision: u64,
    pub seen: bool,
}

impl Standing {
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Clinic, state, most urgent first, oldest first.
    fn worklist_key(&self, id: CaseId) -> Vec<u8> {
        [worklist_prefix(&self.clinic, self.state).as_slice(), &[u8::MAX - rank(self.urgency)], &id.key()]
            .concat()
    }
}

const fn rank(urgency: Option<Urgency>) -> u8 {
    match urgency {
        None => 0,
        Some(Urgency::Info) => 1,
        Some(Urgency::Routine) => 2,
        Some(Urgency::Soon) => 3,
        Some(Urgency::SameDay) => 4,
        Some(Urgency::Emergency) => 5,
    }
}

/// The first bytes of a clinic's work list in one state.
pub fn worklist_prefix(clinic: &str, state: State) -> Vec<u8> {
    [clinic.as_bytes(), &[0], state.as_str().as_bytes(), &[0]].concat()
}

/// The durable count of cases in one state of one clinic.
pub fn counter(clinic: &str, state: State) -> String {
    format!("cases.{clinic}.{}", state.as_str())
}

/// A case and where it stands, as read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub case: Case,
    pub standing: Standing,
}

impl Stored {
    pub fn scope(&self) -> Scope {
        Scope::Clinic(self.case.clinic.clone())
    }

    /// Adds a new case to a change.
    pub fn insert(&self, change: &mut Change) {
        let key = self.case.id.key();
        change.expect_absent(Table::CaseStates, &key);
        change.index(Table::Cases, &key, &self.scope(), Field::FillerNumber, &self.case.lineage);
        self.write(change);
        change.count(counter(&self.case.clinic, self.standing.state), 1);
    }

    /// Adds the case as changed since `before`; a conflict if it has changed otherwise meanwhile.
    pub fn update(&mut self, change: &mut Change, before: &Standing) {
        let key = self.case.id.key();
        self.standing.revision = before.revision + 1;
        self.standing.seen = self.case.seen.is_some();
        change.expect_equals(Table::CaseStates, &key, encode(before));
        change.delete(Table::Worklist, &before.worklist_key(self.case.id));
        self.write(change);
        if before.state != self.standing.state {
            change.count(counter(&self.case.clinic, before.state), -1);
            change.count(counter(&self.case.clinic, self.standing.state), 1);
        }
    }

    fn write(&self, change: &mut Change) {
        let key = self.case.id.key();
        change.put_plain(Table::CaseStates, &key, encode(&self.standing));
        change.put_plain(Table::Worklist, &self.standing.worklist_key(self.case.id), Vec::new());
        change.put_sealed(Table::Cases, &key, &self.scope(), encode(&self.case));
    }
}

/// Where a case stands, without its content.
pub fn standing(store: &Store, id: CaseId) -> Result<Option<Standing>, store::Error> {
    let row = store.get_plain(Table::CaseStates, &id.key())?;
    row.map(|row| decode(Table::CaseStates, &row)).transpose()
}

/// A case of this clinic; another clinic's is as absent as none.
pub fn load(store: &Store, clinic: &str, id: CaseId) -> Result<Option<Stored>, store::Error> {
    let Some(standing) = standing(store, id)?.filter(|it| it.clinic == clinic) else { return Ok(None) };
    let row = store.get_sealed(Table::Cases, &id.key(), &Scope::Clinic(clinic.to_owned()))?;
    let case = row.map(|row| decode(Table::Cases, &row)).transpose()?;
    Ok(case.map(|case| Stored { case, standing }))
}

/// The cases of a lineage, oldest first.
pub fn of_lineage(store: &Store, clinic: &str, lineage: &str) -> Result<Vec<Stored>, store::Error> {
    let keys = store.find(Table::Cases, &Scope::Clinic(clinic.to_owned()), Field::FillerNumber, lineage)?;
    let mut cases = Vec::with_capacity(keys.len());
    for key in keys {
        let id =
            CaseId::try_from(key.as_slice()).map_err(|_| store::Error::Damaged { table: Table::Index })?;
        cases.extend(load(store, clinic, id)?);
    }
    cases.sort_by_key(|it| it.case.version);
    Ok(cases)
}

/// A page of the work list: ids in the order a person should look, and whether more follow after the last key.
pub fn worklist(
    store: &Store,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, CaseId)>, store::Error> {
    let mut scan = Scan::prefix(Table::Worklist, prefix).limit(limit);
    if let Some(after) = after.filter(|key| key.starts_with(prefix)) {
        scan = scan.after(after);
    }
    let damaged = || store::Error::Damaged { table: Table::Worklist };
    store
        .scan_plain(&scan)?
        .into_iter()
        .map(|(key, _)| {
            let id = key.len().checked_sub(Id::BYTES).and_then(|at| key.get(at..)).ok_or_else(damaged)?;
            let id = CaseId::try_from(id).map_err(|_| damaged())?;
            Ok((key, id))
        })
        .collect()
}
