//! The diagnostic codes of reading a message; what each means stands in `diagnostic/codes/`.

use crate::diagnostic::Code;

pub(super) const NO_MESSAGE: Code = Code::new("M100");
pub(super) const NOT_A_RESULT: Code = Code::new("M101");
pub(super) const NO_PATIENT: Code = Code::new("M102");
pub(super) const NO_ORDER: Code = Code::new("M103");
pub(super) const ORPHAN_RESULT: Code = Code::new("M104");
pub(super) const REQUIRED: Code = Code::new("M105");
pub(super) const UNACCOUNTED: Code = Code::new("M106");
pub(super) const UNREAD: Code = Code::new("M107");
pub(super) const LOCAL_SEGMENT: Code = Code::new("M108");
pub(super) const PROCESSING_ID: Code = Code::new("M109");
pub(super) const NO_STATUS: Code = Code::new("M110");
pub(super) const UNKNOWN_STATUS: Code = Code::new("M111");
pub(super) const NOT_OF_TYPE: Code = Code::new("M112");
pub(super) const NO_TYPE: Code = Code::new("M113");
pub(super) const UNREAD_TYPE: Code = Code::new("M114");
pub(super) const NO_VALUE: Code = Code::new("M115");
pub(super) const COMPARATOR: Code = Code::new("M116");
pub(super) const NOT_A_TIME: Code = Code::new("M118");
pub(super) const TIME_TWICE: Code = Code::new("M119");
pub(super) const TIME_NEVER: Code = Code::new("M120");
pub(super) const NO_OFFSET: Code = Code::new("M121");
pub(super) const DISAGREE: Code = Code::new("M122");
pub(super) const FALLBACK: Code = Code::new("M123");
pub(super) const REPEATED: Code = Code::new("M124");
pub(super) const POINTER: Code = Code::new("M187");
pub(super) const NO_RESULT_CODE: Code = Code::new("T001");
pub(super) const CODE_UNMAPPED: Code = Code::new("T010");
pub(super) const CODE_CHECK_DIGIT: Code = Code::new("T011");
pub(super) const UNIT_UNMAPPED: Code = Code::new("T014");
pub(super) const NOT_UCUM: Code = Code::new("T015");
pub(super) const SEX_UNKNOWN: Code = Code::new("T020");
pub(super) const NOT_NHS_NUMBER: Code = Code::new("T030");
