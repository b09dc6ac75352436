//! The status of a report, from those of its panels.

use crate::clinical::model::ReportStatus;

/// What all panels together are. A panel that is not final keeps the whole from being so.
pub(super) fn of_panels(panels: impl IntoIterator<Item = ReportStatus>) -> ReportStatus {
    let mut all: Vec<ReportStatus> = panels.into_iter().collect();
    all.dedup();
    let has = |status| all.contains(&status);
    match all.as_slice() {
        [] => ReportStatus::Unknown,
        [only] => *only,
        _ if has(ReportStatus::Unknown) => ReportStatus::Unknown,
        // Panels that were cancelled or withdrawn say nothing of how far the others are.
        _ if has(ReportStatus::Registered)
            || has(ReportStatus::Partial)
            || has(ReportStatus::Preliminary) =>
        {
            ReportStatus::Partial
        }
        _ if has(ReportStatus::Corrected) => ReportStatus::Corrected,
        _ if has(ReportStatus::Amended) => ReportStatus::Amended,
        _ if has(ReportStatus::Final) => ReportStatus::Final,
        _ => ReportStatus::EnteredInError,
    }
}

#[cfg(test)]
mod tests {
    use super::of_panels;
    use crate::clinical::model::ReportStatus as S;

    #[test]
    fn a_report_is_as_final_as_its_least_final_panel() {
        for (panels, expected) in [
            (vec![], S::Unknown),
            (vec![S::Final, S::Final], S::Final),
            (vec![S::Final, S::Preliminary], S::Partial),
            (vec![S::Preliminary, S::Preliminary], S::Preliminary),
            (vec![S::Corrected, S::Final], S::Corrected),
            (vec![S::Corrected, S::Registered], S::Partial),
            (vec![S::Final, S::Cancelled], S::Final),
            (vec![S::Final, S::Unknown], S::Unknown),
            (vec![S::Cancelled, S::EnteredInError], S::EnteredInError),
        ] {
            assert_eq!(of_panels(panels.clone()), expected, "{panels:?}");
        }
    }
}
