//! Puts reports together: patients, panels, results, specimens, notes.

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::coded::Word;
use crate::clinical::mapping::inbound::composite::code_of;
use crate::clinical::mapping::inbound::composite::part;
use crate::clinical::mapping::inbound::ledger;
use crate::clinical::mapping::inbound::ledger::Home;
use crate::clinical::mapping::inbound::outline;
use crate::clinical::mapping::inbound::outline::Noted;
use crate::clinical::mapping::inbound::outline::Order;
use crate::clinical::mapping::inbound::outline::Outline;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::inbound::status;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Grouping;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::model::Attachment;
use crate::clinical::model::Code;
use crate::clinical::model::LabResult;
use crate::clinical::model::MessageOrigin;
use crate::clinical::model::Note;
use crate::clinical::model::Panel;
use crate::clinical::model::Patient;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Specimen;
use crate::clinical::model::StatusDetail;
use crate::clinical::model::Value;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2::Location;
use crate::formats::hl7v2::Segment;

/// A report in the making.
struct Draft {
    key: String,
    report: Report,
    /// The message's place of each specimen of the report, and of the order it stands in.
    specimens: Vec<(usize, Option<usize>)>,
    order_numbers_differ: bool,
    home: Home,
}

impl Reader<'_, '_> {
    pub(super) fn reports(&mut self, outline: &Outline) -> Vec<Report> {
        for at in &outline.orphans {
            self.orphan(*at);
        }
        if outline.patients.iter().all(|patient| patient.orders.is_empty()) {
            let at = Location::segment(*b"OBR", 1);
            self.error(
                code::NO_ORDER,
                at,
                "the message has no OBR, so no report",
                "ask the sender for a whole ORU^R01",
            );
        }
        let origin = self.origin();
        let mut reports = Vec::new();
        for patient in &outline.patients {
            reports.extend(self.reports_of(patient, &origin));
        }
        reports
    }

    fn orphan(&mut self, at: usize) {
        let Some(segment) = self.segments.get(at).copied() else { return };
        let help = "ask the sender to put each result after the OBR it belongs to";
        self.error(
            code::ORPHAN_RESULT,
            segment.location(),
            "the result stands before any OBR and belongs to no panel",
            help,
        );
        self.settle(at);
    }

    fn origin(&mut self) -> MessageOrigin {
        let header = self.segments.first().copied();
        let sent_at = header.and_then(|header| self.moment_of(header.field(7), false, Decision::Keep));
        self.gaps.sent_at(sent_at.as_ref());
        let text = |field: u32| {
            header.map(|header| header.field(field).component(1).text().into_owned()).unwrap_or_default()
        };
        MessageOrigin {
            control_id: text(10),
            sender: format!("{}|{}", text(3), text(4)),
            sent_at,
            mapping_digest: self.mapping.digest.clone(),
        }
    }

    fn reports_of(&mut self, group: &outline::Patient, origin: &MessageOrigin) -> Vec<Report> {
        let scope = Scope { patient: group, order: None, current: None };
        if group.pid.is_none() {
            let at = Location::segment(*b"PID", 1);
            self.error(
                code::NO_PATIENT,
                at,
                "results stand under no PID",
                "ask the sender for a whole ORU^R01",
            );
        }
        let patient = self.patient(scope);
        let notes = self.notes(&group.notes, scope);
        let mut drafts: Vec<Draft> = Vec::new();
        for order in &group.orders {
            self.order(group, order, &mut drafts, || (patient.clone(), notes.clone(), origin.clone()));
        }
        self.loose_specimens(group, &mut drafts);
        drafts.into_iter().map(|draft| self.finish(draft, group)).collect()
    }

    fn patient(&mut self, scope: Scope<'_>) -> Patient {
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

    /// Reads one OBR into the report it belongs to.
    fn order(
        &mut self,
        group: &outline::Patient,
        order: &Order,
        drafts: &mut Vec<Draft>,
        head: impl Fn() -> (Patient, Vec<Note>, MessageOrigin),
    ) {
        let scope = Scope { patient: group, order: Some(order), current: None };
        let filler_number = self.word(Field::FillerNumber, scope);
        if filler_number.is_none()
            && let Some((_, rule)) = self.rule(Field::FillerNumber, scope)
        {
            let at = self.expected_at(rule, scope);
            let help = "ask the sender to fill OBR-3: without the laboratory's number a correction cannot find its report";
            let diagnostic = Diagnostic::error(code::REQUIRED, "the report has no filler number")
                .spanning(rule.span.clone());
            self.decide(Decision::Hold, diagnostic.at(at.to_string()).help(help));
        }
        let filler_number = filler_number.unwrap_or_default();
        let order_number = self.word(Field::OrderNumber, scope);
        let (account, facility) = (self.word(Field::Account, scope), self.word(Field::Facility, scope));
        let key = match self.mapping.grouping {
            Grouping::FillerNumber => filler_number.clone(),
            Grouping::Message => String::new(),
            Grouping::OrderNumber => order_number.clone().unwrap_or_else(|| filler_number.clone()),
        };
        let place = drafts.iter().position(|draft| draft.key == key).unwrap_or_else(|| {
            let (patient, notes, origin) = head();
            let report = Report {
                lab: self.mapping.lab.clone(),
                filler_number,
                order_number: order_number.clone(),
                account,
                facility,
                status: ReportStatus::Unknown,
                patient,
                panels: Vec::new(),
                specimens: Vec::new(),
                attachments: Vec::new(),
                notes,
                origin,
            };
            let home = Home { report: Vec::new(), patient: ledger::scope(group.pid.unwrap_or(0)) };
            drafts.push(Draft { key, report, specimens: Vec::new(), order_numbers_differ: false, home });
            drafts.len() - 1
        });
        let Some(draft) = drafts.get_mut(place) else { return };
        draft.home.report.push(ledger::scope(order.obr));
        let mut panel = self.panel(order, scope, draft);
        if let Some(number) = order_number
            && draft.report.order_number.as_ref() != Some(&number)
        {
            panel.extra.push(("order_number".to_owned(), number.clone()));
            if draft.report.order_number.is_none() && draft.report.panels.is_empty() {
                draft.report.order_number = Some(number);
            } else if !draft.order_numbers_differ {
                draft.order_numbers_differ = true;
                let at = self.location(order.obr);
                let help = "the report is matched without an order number; each panel keeps its own";
                self.warn(code::DISAGREE, at, "panels of one report have different order numbers", help);
            }
        }
        draft.report.panels.push(panel);
    }

    fn panel(&mut self, order: &Order, scope: Scope<'_>, draft: &mut Draft) -> Panel {
        let at = self.location(order.obr);
        let code = self.code(Field::PanelCode, scope).map(|read| read.value).unwrap_or_default();
        let status = self.panel_status(scope);
        let mut panel = Panel {
            id: at.to_string(),
            code,
            status,
            collected_at: self.moment(Field::PanelCollectedAt, scope),
            received_at: self.moment(Field::PanelReceivedAt, scope),
            reported_at: self.moment(Field::PanelReportedAt, scope),
            requester: self.person(Field::Requester, scope),
            clinical_information: self.field_text(Field::ClinicalInformation, scope).map(Sensitive::new),
            notes: self.notes(&order.notes, scope),
            results: Vec::with_capacity(order.results.len()),
            extra: self.extra(&self.mapping.panel_extra, scope),
        };
        for specimen in &order.specimens {
            self.specimen(specimen, scope, Some(order.obr), draft);
        }
        if order.specimens.is_empty() {
            self.specimen_of_panel(order, scope, draft);
        } else if let Some(text) = self.field_text(Field::PanelSpecimen, scope) {
            // SPM says it better; some senders then use the field for something else, which must not be lost.
            panel.extra.push(("specimen".to_owned(), text));
        }
        for (result, specimen) in &order.results {
            if let Some(read) = self.result(result, scope, &panel.code, &mut draft.report.attachments) {
                // The place in the message for now; `finish` makes it an index of the report.
                panel.results.push(LabResult { specimen: *specimen, ..read });
            }
        }
        panel
    }

    fn panel_status(&mut self, scope: Scope<'_>) -> ReportStatus {
        match self.mapped_word(Field::PanelStatus, scope) {
            Some(Word::Found(word)) => ReportStatus::from_word(&word).unwrap_or(ReportStatus::Unknown),
            Some(Word::Absent(at)) => {
                let help = "ask the sender to fill OBR-25; the status of each result is known";
                self.warn(code::NO_STATUS, at, "the panel has no status", help);
                ReportStatus::Unknown
            }
            Some(Word::Unknown) | None => ReportStatus::Unknown,
        }
    }

    fn result(
        &mut self,
        noted: &Noted,
        scope: Scope<'_>,
        panel: &Code,
        attachments: &mut Vec<Attachment>,
    ) -> Option<LabResult> {
        let scope = scope.at(noted.at);
        let at = self.segments.get(noted.at)?.location();
        let code = self.code(Field::ResultCode, scope);
        let (status, detail) = self.result_status(scope);
        let mut value = self.value(scope, at, status);
        if code.is_none() {
            self.no_code(at, scope, &value.value);
        }
        if let (Value::Attachment { index }, Some(mut attachment)) =
            (&mut value.value, value.attachment.take())
        {
            *index = attachments.len();
            attachment.title = code.as_ref().map(|code| code.value.label().to_owned());
            attachments.push(attachment);
        }
        let mut unit = self.unit(scope);
        let code_known = code.as_ref().is_some_and(|code| code.interpretable);
        let unit_known = unit.as_ref().is_none_or(|unit| unit.interpretable);
        let mut range = self.range(scope);
        let is_scaled =
            self.gaps.in_ucum(unit.as_ref().map(|it| &it.value), &mut value.value, range.as_mut(), at);
        if !is_scaled && let Some(unit) = &mut unit {
            (unit.value.ucum, unit.value.factor) = (None, None);
        }
        Some(LabResult {
            id: ResultId(at.to_string()),
            code: code.map_or_else(|| narrative_of(panel), |code| code.value),
            sub_id: self.word(Field::ResultSubId, scope),
            value: value.value,
            unit: unit.map(|unit| unit.value),
            range: range.filter(|range| !range.sent.is_empty()),
            flags: self.flags(scope),
            status,
            detail,
            notes: self.notes(&noted.notes, scope),
            observed_at: self.moment(Field::ResultObservedAt, scope),
            analysed_at: self.moment(Field::ResultAnalysedAt, scope),
            methods: self.codes(Field::ResultMethods, scope),
            performing_lab: self.organisation(Field::PerformingLab, scope),
            specimen: None,
            not_interpreted: !(value.interpretable && code_known && unit_known && is_scaled),
            extra: self.extra(&self.mapping.result_extra, scope),
        })
    }

    /// A line of text without a code is part of its panel's narrative, if the mapping keeps such; a number is nothing.
    fn no_code(&mut self, at: Location, scope: Scope<'_>, value: &Value) {
        let kept = self.rule(Field::ResultCode, scope).and_then(|(_, rule)| rule.unmapped);
        let decision = match (kept, value) {
            (Some(Decision::Keep), Value::Text { .. } | Value::Absent { .. }) => Decision::Keep,
            (Some(Decision::Reject), _) => Decision::Reject,
            _ => Decision::Hold,
        };
        let help = "ask the sender to fill OBX-3 with the code of what was measured";
        let diagnostic = Diagnostic::error(code::NO_RESULT_CODE, "the result does not say what was measured");
        self.decide(decision, diagnostic.at(at.field(3).to_string()).help(help));
    }

    fn result_status(&mut self, scope: Scope<'_>) -> (ResultStatus, Option<StatusDetail>) {
        match self.mapped_word(Field::ResultStatus, scope) {
            Some(Word::Found(word)) => {
                let read = StatusDetail::read(&word).unwrap_or((ResultStatus::Unknown, None));
                if read.0 == ResultStatus::Unknown {
                    self.gaps.status_not_known(self.location(scope.owner()));
                }
                read
            }
            Some(Word::Absent(at)) => {
                let help = "ask the sender to fill OBX-11: F for final, P for preliminary, C for corrected";
                self.error(
                    code::NO_STATUS,
                    at,
                    "the result has no status: it may be preliminary or withdrawn",
                    help,
                );
                (ResultStatus::Unknown, None)
            }
            Some(Word::Unknown) | None => (ResultStatus::Unknown, None),
        }
    }

    fn specimen(&mut self, noted: &Noted, scope: Scope<'_>, obr: Option<usize>, draft: &mut Draft) {
        let scope = scope.at(noted.at);
        let specimen = Specimen {
            id: self.location(noted.at).to_string(),
            accession: self.word(Field::SpecimenAccession, scope),
            placer_number: self.word(Field::SpecimenPlacerNumber, scope),
            kind: self.code(Field::SpecimenKind, scope).map(|read| read.value),
            collected_at: self.moment(Field::SpecimenCollectedAt, scope),
            received_at: self.moment(Field::SpecimenReceivedAt, scope),
            conditions: self.codes(Field::SpecimenConditions, scope),
            reject_reasons: self.codes(Field::SpecimenRejectReasons, scope),
            notes: self.notes(&noted.notes, scope),
            extra: self.extra(&self.mapping.specimen_extra, scope),
        };
        draft.specimens.push((noted.at, obr));
        draft.report.specimens.push(specimen);
    }

    /// Before version 2.5 the specimen is OBR-15: an SPS, whose first component is a code in subcomponents.
    fn specimen_of_panel(&mut self, order: &Order, scope: Scope<'_>, draft: &mut Draft) {
        let Some(rule) = self.rule(Field::PanelSpecimen, scope) else { return };
        let Some(element) = self.first(rule, scope) else { return };
        let source = element.component(1);
        let mut kind = Code::default();
        if let Some(code) = part(source.subcomponent(1)) {
            kind = code_of(source);
            kind.codings.clear();
            kind.text = part(source.subcomponent(2)).or(Some(code));
        }
        let text = part(element.component(3)).or_else(|| part(element.component(6)));
        kind.text = kind.text.or(text).or_else(|| part(element));
        let id = format!("{}-15", self.location(order.obr));
        draft.specimens.push((order.obr, Some(order.obr)));
        draft.report.specimens.push(Specimen { id, kind: Some(kind), ..Specimen::default() });
    }

    /// SPM before any OBR belongs to every report of the patient.
    fn loose_specimens(&mut self, group: &outline::Patient, drafts: &mut [Draft]) {
        let scope = Scope { patient: group, order: None, current: None };
        for noted in &group.specimens {
            for draft in drafts.iter_mut() {
                self.specimen(noted, scope, None, draft);
            }
        }
    }

    /// Links results to specimens, and gives the whole its status.
    fn finish(&mut self, draft: Draft, group: &outline::Patient) -> Report {
        let Draft { mut report, specimens, order_numbers_differ, home, .. } = draft;
        self.homes.push(home);
        if order_numbers_differ
            && let (Some(number), Some(panel)) = (report.order_number.take(), report.panels.first_mut())
        {
            panel.extra.push(("order_number".to_owned(), number));
        }
        let panels = group.orders.iter().map(|order| (self.location(order.obr).to_string(), order.obr));
        let places: Vec<(String, usize)> = panels.collect();
        for panel in &mut report.panels {
            let obr = places.iter().find(|(id, _)| *id == panel.id).map(|(_, obr)| *obr);
            // One specimen serves the whole report; of several, only the one of the same order, if it has one.
            let own: Vec<usize> = match specimens.as_slice() {
                [_] => vec![0],
                many => (0..many.len())
                    .filter(|index| many.get(*index).is_some_and(|(_, of)| of.is_none() || *of == obr))
                    .collect(),
            };
            let only = if let [only] = own.as_slice() { Some(*only) } else { None };
            for result in &mut panel.results {
                let named =
                    result.specimen.and_then(|at| specimens.iter().position(|(place, _)| *place == at));
                result.specimen = named.or(only);
            }
            if panel.received_at.is_none() {
                panel.received_at = only.and_then(|index| report.specimens.get(index)?.received_at.clone());
            }
        }
        report.status = status::of_panels(report.panels.iter().map(|panel| panel.status));
        self.gaps.tell_of_an_empty_report(&report);
        report
    }

    fn notes(&mut self, places: &[usize], scope: Scope<'_>) -> Vec<Note> {
        let mut notes = Vec::new();
        for at in places {
            let scope = scope.at(*at);
            let text = self.field_text(Field::NoteText, scope);
            let source = self.word(Field::NoteSource, scope);
            if let Some(text) = text {
                notes.push(Note { id: self.location(*at).to_string(), text, source });
            }
        }
        notes
    }

    fn extra(&mut self, rules: &[(String, RuleId)], scope: Scope<'_>) -> Vec<(String, String)> {
        let mapping = self.mapping;
        let mut found = Vec::new();
        for (name, id) in rules {
            if let Some(rule) = mapping.rule(*id)
                && !self.finds_nothing(rule, scope)
                && let Some(rule) = self.chosen((*id, rule), scope)
                && let Some(text) = self.text(rule, scope)
            {
                found.push((name.clone(), text));
            }
        }
        found
    }

    fn range(&mut self, scope: Scope<'_>) -> Option<ReferenceRange> {
        let (id, rule) = self.rule(Field::ResultRange, scope)?;
        let text = match &rule.constant {
            Some(constant) => constant.clone(),
            None => self.lines((id, rule), scope)?,
        };
        Some(rule.range(text.trim()))
    }

    fn field_text(&mut self, field: Field, scope: Scope<'_>) -> Option<String> {
        let rule = self.rule(field, scope)?;
        self.text(rule, scope)
    }

    fn location(&self, at: usize) -> Location {
        self.segments.get(at).map_or(Location::segment(*b"MSH", 1), Segment::location)
    }
}

/// What a line of text without a code of its own speaks of.
fn narrative_of(panel: &Code) -> Code {
    Code { text: Some(panel.label().to_owned()), ..Code::default() }
}
