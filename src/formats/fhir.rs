//! FHIR R4 (4.0.1): the resources we speak, and nothing of what they mean here.
//!
//! Types of our own, because a decimal must keep its digits (`5.10` stays `5.10`) and no library for R4 does that.
//! They hold only the elements we write, in the order of FHIR's definitions, and borrow their text.
//! Invariant: what is absent is left out, so that no empty object, array or string and no `null` is ever written
//! (FHIR's `ele-1`). [`text`] holds what FHIR allows in its primitives.
//! No type derives `Debug`: they carry patients.

mod datatypes;
mod outcome;
mod resources;
pub mod text;
pub mod xml;

use std::borrow::Cow;

pub use self::datatypes::Address;
pub use self::datatypes::Annotation;
pub use self::datatypes::Attachment;
pub use self::datatypes::CodeableConcept;
pub use self::datatypes::Coding;
pub use self::datatypes::ContactPoint;
pub use self::datatypes::Decimal;
pub use self::datatypes::Extension;
pub use self::datatypes::HumanName;
pub use self::datatypes::Identifier;
pub use self::datatypes::Meta;
pub use self::datatypes::Quantity;
pub use self::datatypes::Range;
pub use self::datatypes::Ratio;
pub use self::datatypes::Reference;
pub use self::outcome::Issue;
pub use self::outcome::IssueType;
pub use self::outcome::OperationOutcome;
pub use self::outcome::Severity;
pub use self::resources::Bundle;
pub use self::resources::Collection;
pub use self::resources::Content;
pub use self::resources::DiagnosticReport;
pub use self::resources::DocumentContext;
pub use self::resources::DocumentReference;
pub use self::resources::Entry;
pub use self::resources::Observation;
pub use self::resources::ObservationValue;
pub use self::resources::Organization;
pub use self::resources::Patient;
pub use self::resources::ReferenceRange;
pub use self::resources::Resource;
pub use self::resources::ServiceRequest;
pub use self::resources::Specimen;

/// The text of any primitive element: a constant, borrowed, or made.
pub type Text<'a> = Cow<'a, str>;
