//! The canonical model: what every laboratory message becomes, whatever wire it came by.
//!
//! Values are kept as sent (text beside decimal), times with the precision and offset they had, codes with the
//! system the sender named. Absence is a state (`None`, [`Value::Absent`]), never a default.
//! The model derives `Serialize` for the store and for fixtures only: FHIR, HTTP and Cliniko have types of their own.
//! Start at [`Report`], then [`LabResult`] and [`Value`].

mod code;
mod finding;
mod moment;
mod number;
mod patient;
mod report;
mod result;
mod sensitive;
mod value;

pub use self::code::Code;
pub use self::code::Coding;
pub use self::code::System;
pub use self::finding::Finding;
pub use self::finding::Interpretation;
pub use self::finding::NotAssessed;
pub use self::finding::RangeFlag;
pub use self::finding::Urgency;
pub use self::moment::Moment;
pub use self::number::Number;
pub use self::patient::Address;
pub use self::patient::Identifier;
pub use self::patient::IdentifierKind;
pub use self::patient::Patient;
pub use self::patient::PersonName;
pub use self::patient::Sex;
pub use self::patient::Telecom;
pub use self::report::Attachment;
pub use self::report::MessageOrigin;
pub use self::report::Note;
pub use self::report::Panel;
pub use self::report::Report;
pub use self::report::ReportStatus;
pub use self::report::Specimen;
pub use self::result::Flag;
pub use self::result::LabResult;
pub use self::result::ReferenceRange;
pub use self::result::ResultId;
pub use self::result::ResultStatus;
pub use self::result::StatusDetail;
pub use self::result::Unit;
pub use self::sensitive::Sensitive;
pub use self::value::AbsentReason;
pub use self::value::Comparator;
pub use self::value::Value;
