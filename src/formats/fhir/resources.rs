//! The resources we write, each with the elements we fill (R4, 4.0.1).

use serde::Serialize;

use crate::formats::fhir::Address;
use crate::formats::fhir::Annotation;
use crate::formats::fhir::Attachment;
use crate::formats::fhir::CodeableConcept;
use crate::formats::fhir::ContactPoint;
use crate::formats::fhir::HumanName;
use crate::formats::fhir::Identifier;
use crate::formats::fhir::Meta;
use crate::formats::fhir::OperationOutcome;
use crate::formats::fhir::Quantity;
use crate::formats::fhir::Range;
use crate::formats::fhir::Ratio;
use crate::formats::fhir::Reference;
use crate::formats::fhir::Text;

/// Any resource. Each names itself in `resourceType`, here and alone.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub enum Resource<'a> {
    Bundle(Box<Bundle<'a>>),
    DiagnosticReport(Box<DiagnosticReport<'a>>),
    DocumentReference(Box<DocumentReference<'a>>),
    Observation(Box<Observation<'a>>),
    OperationOutcome(Box<OperationOutcome<'a>>),
    Organization(Box<Organization<'a>>),
    Patient(Box<Patient<'a>>),
    ServiceRequest(Box<ServiceRequest<'a>>),
    Specimen(Box<Specimen<'a>>),
}

/// Resources that belong together; each `fullUrl` occurs once (`bdl-7`).
#[derive(Clone, Serialize)]
#[serde(tag = "resourceType")]
pub struct Bundle<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    /// Such as `collection` (value set `bundle-type`).
    #[serde(rename = "type")]
    pub kind: Text<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entry: Vec<Entry<'a>>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    pub full_url: Text<'a>,
    pub resource: Resource<'a>,
}

#[derive(Clone, Default, Serialize)]
#[serde(tag = "resourceType", rename_all = "camelCase")]
pub struct Patient<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifier: Vec<Identifier<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<HumanName<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub telecom: Vec<ContactPoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deceased_boolean: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub address: Vec<Address<'a>>,
}

#[derive(Clone, Default, Serialize)]
#[serde(tag = "resourceType", rename_all = "camelCase")]
pub struct Organization<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
}

#[derive(Clone, Default, Serialize)]
#[serde(tag = "resourceType", rename_all = "camelCase")]
pub struct ServiceRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifier: Vec<Identifier<'a>>,
    pub status: Text<'a>,
    pub intent: Text<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<CodeableConcept<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeableConcept<'a>>,
    pub subject: Reference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<Reference<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub note: Vec<Annotation<'a>>,
}

#[derive(Clone, Default, Serialize)]
#[serde(tag = "resourceType", rename_all = "camelCase")]
pub struct Specimen<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifier: Vec<Identifier<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accession_identifier: Option<Identifier<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Text<'a>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<CodeableConcept<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_time: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<Collection<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<CodeableConcept<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub note: Vec<Annotation<'a>>,
}

/// When a specimen was taken.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection<'a> {
    pub collected_date_time: Text<'a>,
}

#[derive(Clone, Default, Serialize)]
#[serde(tag = "resourceType", rename_all = "camelCase")]
pub struct DiagnosticReport<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifier: Vec<Identifier<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub based_on: Vec<Reference<'a>>,
    pub status: Text<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<CodeableConcept<'a>>,
    pub code: CodeableConcept<'a>,
    pub subject: Reference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_date_time: Option<Text<'a>>,
    /// An `instant`: a full time with its offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub performer: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub specimen: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub result: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Text<'a>>,
}

#[derive(Clone, Default, Serialize)]
#[serde(tag = "resourceType", rename_all = "camelCase")]
pub struct Observation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifier: Vec<Identifier<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub based_on: Vec<Reference<'a>>,
    pub status: Text<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<CodeableConcept<'a>>,
    pub code: CodeableConcept<'a>,
    pub subject: Reference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_date_time: Option<Text<'a>>,
    /// An `instant`: a full time with its offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub performer: Vec<Reference<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub value: Option<ObservationValue<'a>>,
    /// Only where there is no value (`obs-6`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_absent_reason: Option<CodeableConcept<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interpretation: Vec<CodeableConcept<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub note: Vec<Annotation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<CodeableConcept<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specimen: Option<Reference<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference_range: Vec<ReferenceRange<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub has_member: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub derived_from: Vec<Reference<'a>>,
}

/// `value[x]`: one at most, which the type sees to.
#[derive(Clone, Serialize)]
pub enum ObservationValue<'a> {
    #[serde(rename = "valueCodeableConcept")]
    CodeableConcept(CodeableConcept<'a>),
    #[serde(rename = "valueDateTime")]
    DateTime(Text<'a>),
    #[serde(rename = "valueQuantity")]
    Quantity(Quantity<'a>),
    #[serde(rename = "valueRange")]
    Range(Range<'a>),
    #[serde(rename = "valueRatio")]
    Ratio(Ratio<'a>),
    #[serde(rename = "valueString")]
    String(Text<'a>),
}

/// At least one of the three is there (`obs-3`).
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceRange<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Quantity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Quantity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
}

#[derive(Clone, Default, Serialize)]
#[serde(tag = "resourceType", rename_all = "camelCase")]
pub struct DocumentReference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta<'a>>,
    pub status: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<DocumentContext<'a>>,
}

#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content<'a> {
    pub attachment: Attachment<'a>,
}

#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentContext<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Reference<'a>>,
}
