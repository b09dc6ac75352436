//! Puts reports together from a tree: patients, panels, results, specimens, notes.

use std::collections::BTreeSet;

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::ledger;
use crate::clinical::mapping::inbound::ledger::Home;
use crate::clinical::mapping::inbound::status;
use crate::clinical::mapping::inbound::tree::composite::Word;
use crate::clinical::mapping::inbound::tree::reader::Part;
use crate::clinical::mapping::inbound::tree::reader::Reader;
use crate::clinical::mapping::inbound::tree::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Grouping;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::model::Code;
use crate::clinical::model::MessageOrigin;
use crate::clinical::model::Note;
use crate::clinical::model::Panel;
use crate::clinical::model::Patient;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Specimen;
use crate::diagnostic::Diagnostic;

/// Panels within panels; a document whose members lead back to themselves ends here.
pub(super) const DEPTH_MAX: usize = 8;

/// A report in the making.
pub(super) struct Draft {
    key: String,
    /// Where its patient stands.
    pub(super) patient: Option<usize>,
    pub(super) report: Report,
    /// Where each specimen of the report stands.
    pub(super) specimens: Vec<usize>,
    /// Results that stand in a panel already.
    pub(super) read: BTreeSet<usize>,
    /// What the report itself says it is, where it is no panel beside others.
    withdrawn: Option<ReportStatus>,
    home: Home,
}

impl Reader<'_, '_> {
    pub(super) fn reports(&mut self) -> Vec<Report> {
        let mapping = self.mapping;
        let origin = self.origin();
        let places = if mapping.anchors.report.is_empty() {
            self.document.select(&whole(), 0).places
        } else {
            self.begins(&mapping.anchors.report, 0)
        };
        let mut drafts: Vec<Draft> = Vec::new();
        for at in places {
            self.report(at, &origin, &mut drafts);
        }
        drafts.into_iter().map(|draft| self.finish(draft)).collect()
    }

    fn origin(&mut self) -> MessageOrigin {
        let scope = Scope::at(0);
        if self.yes_or_no(Field::MessageIsTest, scope) == Some(true) {
            let help = "ask the sender to keep tests out of the live feed; discard the message";
            let position = self.position(0);
            self.gaps.error(code::TEST_MESSAGE, position, "the message says that it is a test", help);
        }
        let sent_at = self.moment(Field::MessageSentAt, scope);
        self.gaps.sent_at(sent_at.as_ref());
        MessageOrigin {
            control_id: self.word(Field::ControlId, scope).unwrap_or_default(),
            sender: self.word(Field::MessageSender, scope).unwrap_or_default(),
            sent_at,
            mapping_digest: self.mapping.digest.clone(),
        }
    }

    /// Reads one report, or one row of one.
    fn report(&mut self, at: usize, origin: &MessageOrigin, drafts: &mut Vec<Draft>) {
        let mapping = self.mapping;
        let scope = Scope::at(at);
        let (place, patient) = self.patient_of(at);
        let filler_number = self.filler_number(scope);
        let order_number = self.word(Field::OrderNumber, scope);
        let key = match mapping.grouping {
            Grouping::FillerNumber => filler_number.clone(),
            Grouping::Message => String::new(),
            Grouping::OrderNumber => order_number.clone().unwrap_or_else(|| filler_number.clone()),
        };
        let known = drafts.iter().position(|draft| draft.key == key);
        if known.and_then(|known| drafts.get(known)).is_some_and(|draft| draft.report.patient != patient) {
            let message = "one report number is given for different patients";
            let help =
                "ask the sender which patient the results are of; nothing of this message is used until then";
            let position = self.position(at);
            self.gaps.error(code::PATIENTS_DIFFER, position, message, help);
        }
        let known =
            known.filter(|known| drafts.get(*known).is_some_and(|draft| draft.report.patient == patient));
        let index = known.unwrap_or(drafts.len());
        if index == drafts.len() {
            let report = Report {
                lab: mapping.lab.clone(),
                filler_number,
                order_number: order_number.clone(),
                account: self.word(Field::Account, scope),
                facility: self.word(Field::Facility, scope),
                status: ReportStatus::Unknown,
                patient,
                panels: Vec::new(),
                specimens: Vec::new(),
                attachments: Vec::new(),
                notes: Vec::new(),
                origin: origin.clone(),
            };
            drafts.push(Draft {
                key,
                patient: place,
                report,
                specimens: Vec::new(),
                read: BTreeSet::new(),
                withdrawn: None,
                home: Home { report: Vec::new(), patient: ledger::scope(place.unwrap_or(at)) },
            });
        }
        let Some(draft) = drafts.get_mut(index) else { return };
        draft.home.report.push(ledger::scope(at));
        let attachments = self.attachments(scope);
        draft.report.attachments.extend(attachments);
        self.order_numbers(at, draft, order_number);
        let panels = self.begins(&mapping.anchors.panel, at);
        if mapping.anchors.panel.is_empty() {
            self.panel(at, draft);
        } else {
            let notes = self.notes(at);
            draft.report.notes.extend(notes);
            for at in panels {
                self.panel(at, draft);
            }
        }
    }

    fn order_numbers(&mut self, at: usize, draft: &mut Draft, order_number: Option<String>) {
        if let (Some(known), Some(number)) = (&draft.report.order_number, &order_number)
            && known != number
        {
            let help = "look whether the sender groups results as the mapping says";
            let position = self.position(at);
            self.gaps.error(
                code::DISAGREE,
                position,
                "parts of one report have different order numbers",
                help,
            );
        }
        draft.report.order_number = draft.report.order_number.take().or(order_number);
    }

    fn filler_number(&mut self, scope: Scope) -> String {
        let found = self.word(Field::FillerNumber, scope);
        if found.is_none()
            && let Some((_, rule)) = self.rule(Field::FillerNumber, scope)
        {
            let position = self.expected_at(rule, scope);
            let help =
                "ask the sender for the laboratory's number: without it a correction cannot find its report";
            let diagnostic = Diagnostic::error(code::REQUIRED, "the report has no filler number");
            let diagnostic = diagnostic.spanning(rule.span.clone()).at(position).help(help);
            self.gaps.decide(Decision::Hold, diagnostic);
        }
        found.unwrap_or_default()
    }

    fn patient_of(&mut self, at: usize) -> (Option<usize>, Patient) {
        let mapping = self.mapping;
        let anchors = &mapping.anchors.patient;
        let place = if anchors.is_empty() { Some(at) } else { self.begins(anchors, at).first().copied() };
        let patient = place.map(|place| {
            if place != at {
                self.belongs(place, Part::Other);
            }
            self.patient(Scope::at(place))
        });
        let patient = patient.unwrap_or_default();
        if patient.identifiers.is_empty() && patient.names.is_empty() && patient.birth_date.is_none() {
            let position = self.position(place.unwrap_or(at));
            let help = "ask the sender to say whose results these are";
            self.gaps.error(code::NO_PATIENT, position, "the report names no patient", help);
        }
        (place, patient)
    }

    fn patient(&mut self, scope: Scope) -> Patient {
        let identifiers = self.identifiers(scope);
        let (sex, sex_sent) = self.sex(scope);
        Patient {
            identifiers,
            names: self.names(scope),
            birth_date: self.moment(Field::BirthDate, scope).map(Sensitive::new),
            sex,
            sex_sent,
            addresses: self.addresses(scope),
            telecoms: self.telecoms(scope),
            deceased: self.yes_or_no(Field::Deceased, scope),
        }
    }

    /// Holds where a part of the report names another patient than the report does.
    pub(super) fn same_patient(&mut self, at: usize, draft: &Draft) {
        let mapping = self.mapping;
        if mapping.format != Format::Fhir {
            return;
        }
        let places = self.begins(&mapping.anchors.patient, at);
        if places.iter().any(|place| draft.patient != Some(*place)) {
            let help = "ask the sender whose it is; nothing of this message is used until then";
            let position = self.position(at);
            self.gaps.error(
                code::PATIENTS_DIFFER,
                position,
                "it names another patient than its report",
                help,
            );
        }
    }

    fn panel(&mut self, at: usize, draft: &mut Draft) {
        let mapping = self.mapping;
        self.belongs(at, Part::Result);
        let panel = self.panel_at(at, None, draft);
        let status = panel.status;
        if matches!(status, ReportStatus::Cancelled | ReportStatus::EnteredInError) {
            draft.withdrawn = Some(status);
        }
        let results = if mapping.anchors.result.is_empty() {
            vec![at]
        } else {
            self.begins(&mapping.anchors.result, at)
        };
        let same = |known: &Panel| {
            mapping.format == Format::Csv && known.code == panel.code && known.status == panel.status
        };
        let index = draft.report.panels.iter().position(same).unwrap_or(draft.report.panels.len());
        if index == draft.report.panels.len() {
            draft.report.panels.push(panel);
        } else if let Some(known) = draft.report.panels.get_mut(index) {
            let new =
                panel.notes.into_iter().filter(|note| known.notes.iter().all(|it| it.text != note.text));
            known.notes.extend(new.collect::<Vec<_>>());
        }
        self.results(&results, index, draft);
    }

    /// A panel's own fields. One inside another takes from it what it does not say.
    pub(super) fn panel_at(&mut self, at: usize, outer: Option<&Panel>, draft: &mut Draft) -> Panel {
        let mapping = self.mapping;
        let scope = Scope::at(at);
        let code = self.code(Field::PanelCode, scope).map(|read| read.value).unwrap_or_default();
        let mut panel = Panel {
            id: self.position(at),
            code,
            status: self.panel_status(scope),
            collected_at: self.moment(Field::PanelCollectedAt, scope),
            received_at: self.moment(Field::PanelReceivedAt, scope),
            reported_at: self.moment(Field::PanelReportedAt, scope),
            requester: self.person(Field::Requester, scope),
            clinical_information: self.field_text(Field::ClinicalInformation, scope).map(Sensitive::new),
            // Where a row is a result, its notes are the result's.
            notes: if self.is_row_a_result() { Vec::new() } else { self.notes(at) },
            results: Vec::new(),
            extra: self.extra(&mapping.panel_extra, scope),
        };
        self.specimens(at, draft);
        if let Some(outer) = outer {
            panel.collected_at = panel.collected_at.or_else(|| outer.collected_at.clone());
            panel.received_at = panel.received_at.or_else(|| outer.received_at.clone());
            panel.reported_at = panel.reported_at.or_else(|| outer.reported_at.clone());
            panel.requester = panel.requester.or_else(|| outer.requester.clone());
        }
        panel
    }

    fn panel_status(&mut self, scope: Scope) -> ReportStatus {
        match self.mapped_word(Field::PanelStatus, scope) {
            Some(Word::Found(word)) => ReportStatus::from_word(&word).unwrap_or(ReportStatus::Unknown),
            Some(Word::Absent(position)) => {
                let help = "ask the sender for it; the status of each result is known";
                self.gaps.warn(code::NO_STATUS, position, "the panel has no status", help);
                ReportStatus::Unknown
            }
            Some(Word::Unknown) | None => ReportStatus::Unknown,
        }
    }

    /// The specimens of a place, each once in its report; their indexes there.
    pub(super) fn specimens(&mut self, at: usize, draft: &mut Draft) -> Vec<usize> {
        let mapping = self.mapping;
        let places = if mapping.anchors.specimen.is_empty() {
            vec![at]
        } else {
            self.begins(&mapping.anchors.specimen, at)
        };
        let mut indexes = Vec::new();
        for place in places {
            if let Some(index) = draft.specimens.iter().position(|known| *known == place) {
                indexes.push(index);
                continue;
            }
            let specimen = self.specimen(place);
            let bare = Specimen { id: specimen.id.clone(), ..Specimen::default() };
            if specimen == bare {
                continue;
            }
            let same = |known: &Specimen| Specimen { id: specimen.id.clone(), ..known.clone() } == specimen;
            if let Some(index) = draft.report.specimens.iter().position(same) {
                indexes.push(index);
                continue;
            }
            if place != at {
                self.belongs(place, Part::Result);
                self.same_patient(place, draft);
            }
            indexes.push(draft.report.specimens.len());
            draft.specimens.push(place);
            draft.report.specimens.push(specimen);
        }
        indexes
    }

    fn specimen(&mut self, at: usize) -> Specimen {
        let mapping = self.mapping;
        let scope = Scope::at(at);
        let has_own_place = !mapping.anchors.specimen.is_empty();
        Specimen {
            id: self.position(at),
            accession: self.word(Field::SpecimenAccession, scope),
            placer_number: self.word(Field::SpecimenPlacerNumber, scope),
            kind: self.code(Field::SpecimenKind, scope).map(|read| read.value),
            collected_at: self.moment(Field::SpecimenCollectedAt, scope),
            received_at: self.moment(Field::SpecimenReceivedAt, scope),
            conditions: self.codes(Field::SpecimenConditions, scope),
            reject_reasons: self.codes(Field::SpecimenRejectReasons, scope),
            notes: if has_own_place { self.notes(at) } else { Vec::new() },
            extra: self.extra(&mapping.specimen_extra, scope),
        }
    }

    pub(super) fn notes(&mut self, at: usize) -> Vec<Note> {
        let mapping = self.mapping;
        let mut notes = Vec::new();
        for place in self.begins(&mapping.anchors.note, at) {
            let scope = Scope::at(place);
            let text = match self.rule(Field::NoteText, scope) {
                Some(rule) => self.text(rule, scope),
                None => self.text_at(place).map(str::to_owned),
            };
            let source = self.word(Field::NoteSource, scope);
            if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                notes.push(Note { id: self.position(place), text, source });
            }
        }
        notes
    }

    pub(super) fn extra(&mut self, rules: &[(String, RuleId)], scope: Scope) -> Vec<(String, String)> {
        let mapping = self.mapping;
        let mut found = Vec::new();
        for (name, id) in rules {
            if let Some(rule) = mapping.rule(*id)
                && let Some(rule) = self.chosen((*id, rule), scope)
                && let Some(text) = self.text(rule, scope)
            {
                found.push((name.clone(), text));
            }
        }
        found
    }

    fn is_row_a_result(&self) -> bool {
        self.mapping.format == Format::Csv && self.mapping.columns.is_empty()
    }

    /// Links results to the only specimen there is, and gives the whole its status.
    fn finish(&mut self, draft: Draft) -> Report {
        let Draft { mut report, withdrawn, home, .. } = draft;
        self.homes.push(home);
        let only = (report.specimens.len() == 1).then_some(0);
        for panel in &mut report.panels {
            for result in &mut panel.results {
                result.specimen = result.specimen.or(only);
            }
            if panel.status == ReportStatus::Unknown && self.mapping.of(Field::PanelStatus).is_none() {
                panel.status = status::of_panels(panel.results.iter().map(|it| of_result(it.status)));
            }
        }
        report.status =
            withdrawn.unwrap_or_else(|| status::of_panels(report.panels.iter().map(|it| it.status)));
        self.gaps.tell_of_an_empty_report(&report);
        report
    }
}

/// The document itself, or each item of a list.
fn whole() -> crate::formats::tree::Path {
    crate::formats::tree::Path::pointer(".").expect("a point is a pointer")
}

const fn of_result(status: ResultStatus) -> ReportStatus {
    match status {
        ResultStatus::Registered => ReportStatus::Registered,
        ResultStatus::Preliminary => ReportStatus::Preliminary,
        ResultStatus::Final => ReportStatus::Final,
        ResultStatus::Amended => ReportStatus::Amended,
        ResultStatus::Corrected => ReportStatus::Corrected,
        ResultStatus::Cancelled => ReportStatus::Cancelled,
        ResultStatus::EnteredInError => ReportStatus::EnteredInError,
        ResultStatus::Unknown => ReportStatus::Unknown,
    }
}

/// What a line of text without a code of its own speaks of.
pub(super) fn narrative_of(panel: &Code) -> Code {
    Code { text: Some(panel.label().to_owned()), ..Code::default() }
}
