//! One result, and the results that are panels of further ones.

use crate::clinical::attachment;
use crate::clinical::attachment::Fault;
use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::tree::assemble::DEPTH_MAX;
use crate::clinical::mapping::inbound::tree::assemble::Draft;
use crate::clinical::mapping::inbound::tree::assemble::narrative_of;
use crate::clinical::mapping::inbound::tree::composite::Word;
use crate::clinical::mapping::inbound::tree::reader::Part;
use crate::clinical::mapping::inbound::tree::reader::Reader;
use crate::clinical::mapping::inbound::tree::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::model::Attachment;
use crate::clinical::model::LabResult;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::StatusDetail;
use crate::clinical::model::Value;
use crate::diagnostic::Diagnostic;
use crate::formats::tree::Node;

impl Reader<'_, '_> {
    /// Reads results into the panel of this index; those with members become panels after it.
    pub(super) fn results(&mut self, places: &[usize], index: usize, draft: &mut Draft) {
        // One that a group of the same report names belongs to the group, also where the report names it too.
        let mut within = Vec::new();
        for at in places {
            self.members_within(*at, &mut within, 0);
        }
        let direct: Vec<usize> = places.iter().copied().filter(|at| !within.contains(at)).collect();
        self.listed(&direct, index, draft, 0);
        // Members of each other only: nothing leads to them but the report.
        let left: Vec<usize> = places.iter().copied().filter(|at| !draft.read.contains(at)).collect();
        self.listed(&left, index, draft, 0);
    }

    fn members(&mut self, at: usize) -> Vec<usize> {
        let mapping = self.mapping;
        self.begins(&mapping.anchors.members, at)
    }

    fn members_within(&mut self, at: usize, found: &mut Vec<usize>, depth: usize) {
        if self.mapping.anchors.members.is_empty() || depth > DEPTH_MAX {
            return;
        }
        for member in self.document_members(at) {
            if !found.contains(&member) {
                found.push(member);
                self.members_within(member, found, depth + 1);
            }
        }
    }

    /// Without telling of references that lead nowhere; reading the group does.
    fn document_members(&self, at: usize) -> Vec<usize> {
        let paths = &self.mapping.anchors.members;
        paths.iter().flat_map(|path| self.document.select(path, at).places).collect()
    }

    fn listed(&mut self, places: &[usize], index: usize, draft: &mut Draft, depth: usize) {
        for at in places {
            if !draft.read.insert(*at) && !self.mapping.has_rows() {
                continue;
            }
            let members = if depth < DEPTH_MAX { self.members(*at) } else { Vec::new() };
            if members.is_empty() {
                self.one(*at, None, index, draft);
            } else {
                self.group(*at, &members, index, draft, depth);
            }
        }
    }

    fn group(&mut self, at: usize, members: &[usize], index: usize, draft: &mut Draft, depth: usize) {
        self.belongs(at, Part::Result);
        self.same_patient(at, draft);
        let outer = draft.report.panels.get(index).cloned();
        let panel = self.panel_at(at, outer.as_ref(), draft);
        let own = draft.report.panels.len();
        draft.report.panels.push(panel);
        let scope = Scope::at(at);
        let has_value = self
            .rule(Field::ResultValue, scope)
            .is_some_and(|(_, rule)| rule.sources.iter().any(|path| self.is_there(path, at)));
        if has_value {
            self.one(at, None, own, draft);
        }
        let inside = self.document.below(at);
        let (components, further): (Vec<usize>, Vec<usize>) =
            members.iter().partition(|member| inside.contains(member));
        for member in components {
            if draft.read.insert(member) {
                self.one(member, Some(at), own, draft);
            }
        }
        self.listed(&further, own, draft, depth + 1);
    }

    fn one(&mut self, at: usize, outer: Option<usize>, index: usize, draft: &mut Draft) {
        let mapping = self.mapping;
        self.belongs(at, Part::Result);
        if outer.is_none() {
            self.same_patient(at, draft);
        }
        if mapping.columns.is_empty() {
            let result = self.result(Scope { at, outer, column: None }, draft, index);
            if let Some(panel) = draft.report.panels.get_mut(index) {
                panel.results.push(result);
            }
            return;
        }
        for column in 0..mapping.columns.len() {
            let scope = Scope { at, outer, column: Some(column) };
            let rule = self.rule(Field::ResultValue, scope);
            // An empty cell is a test that was not asked for; what stands beside it stays unaccounted.
            if !rule.is_some_and(|(_, rule)| rule.sources.iter().any(|path| self.is_there(path, at))) {
                continue;
            }
            let result = self.result(scope, draft, index);
            if let Some(panel) = draft.report.panels.get_mut(index) {
                panel.results.push(result);
            }
        }
    }

    fn result(&mut self, scope: Scope, draft: &mut Draft, index: usize) -> LabResult {
        let mapping = self.mapping;
        let code = self.code(Field::ResultCode, scope);
        let (status, detail) = self.result_status(scope);
        let reasons = self.codes(Field::ResultAbsentReason, Scope { outer: None, ..scope });
        let mut value = self.value(scope, status, &reasons);
        if code.is_none() {
            self.no_code(scope, &value.value);
        }
        let mut unit = self.unit(scope);
        let mut range = self.range(scope, unit.as_ref().map(|unit| &unit.value));
        let position = self.position(scope.at);
        let is_scaled =
            self.gaps.in_ucum(unit.as_ref().map(|it| &it.value), &mut value.value, range.as_mut(), position);
        if !is_scaled && let Some(unit) = &mut unit {
            (unit.value.ucum, unit.value.factor) = (None, None);
        }
        let code_known = code.as_ref().is_some_and(|code| code.interpretable);
        let unit_known = unit.as_ref().is_none_or(|unit| unit.interpretable);
        let panel = draft.report.panels.get(index).map(|panel| panel.code.clone()).unwrap_or_default();
        let specimens = self.specimens(scope.outer.unwrap_or(scope.at), draft);
        let mut extra = self.extra(&mapping.result_extra, Scope { outer: None, ..scope });
        extra.extend(reasons.iter().map(|it| ("value_absent_reason".to_owned(), it.label().to_owned())));
        LabResult {
            id: ResultId(self.result_id(scope)),
            code: code.map_or_else(|| narrative_of(&panel), |code| code.value),
            sub_id: self.word(Field::ResultSubId, scope),
            value: value.value,
            unit: unit.map(|unit| unit.value),
            range: range.filter(|range| !range.sent.is_empty()),
            flags: self.flags(Scope { outer: None, ..scope }),
            status,
            detail,
            // In a row of many results its comment is on all of them, and so the panel's.
            notes: if scope.column.is_none() { self.notes(scope.at) } else { Vec::new() },
            observed_at: self.moment(Field::ResultObservedAt, scope),
            analysed_at: self.moment(Field::ResultAnalysedAt, scope),
            methods: self.codes(Field::ResultMethods, scope),
            performing_lab: self.organisation(Field::PerformingLab, scope),
            specimen: specimens.first().copied().filter(|_| specimens.len() == 1),
            not_interpreted: !(value.interpretable && code_known && unit_known && is_scaled),
            extra,
        }
    }

    /// The place, and in a row of many results the column.
    fn result_id(&self, scope: Scope) -> String {
        let place = self.position(scope.at);
        match (scope.column, self.rule_anywhere(Field::ResultValue, scope)) {
            (Some(_), Some((_, rule))) => self.expected_at(rule, scope),
            _ => place,
        }
    }

    fn no_code(&mut self, scope: Scope, value: &Value) {
        let rule = self.rule_anywhere(Field::ResultCode, scope);
        let kept = rule.and_then(|(_, rule)| rule.unmapped);
        let decision = match (kept, value) {
            (Some(Decision::Keep), Value::Text { .. } | Value::Absent { .. }) => Decision::Keep,
            (Some(Decision::Reject), _) => Decision::Reject,
            _ => Decision::Hold,
        };
        let position =
            rule.map_or_else(|| self.position(scope.at), |(_, rule)| self.expected_at(rule, scope));
        let help = "ask the sender for the code of what was measured";
        let diagnostic = Diagnostic::error(code::NO_RESULT_CODE, "the result does not say what was measured");
        self.gaps.decide(decision, diagnostic.at(position).help(help));
    }

    fn result_status(&mut self, scope: Scope) -> (ResultStatus, Option<StatusDetail>) {
        match self.mapped_word(Field::ResultStatus, scope) {
            Some(Word::Found(word)) => {
                let read = StatusDetail::read(&word).unwrap_or((ResultStatus::Unknown, None));
                if read.0 == ResultStatus::Unknown {
                    let position = self.position(scope.at);
                    self.gaps.status_not_known(position);
                }
                read
            }
            Some(Word::Absent(position)) => {
                let help = "ask the sender for it: final, preliminary, corrected, cancelled";
                let message = "the result has no status: it may be preliminary or withdrawn";
                self.gaps.error(code::NO_STATUS, position, message, help);
                (ResultStatus::Unknown, None)
            }
            Some(Word::Unknown) | None => (ResultStatus::Unknown, None),
        }
    }

    /// FHIR's Attachment, or a text that is a document in base64 or says where one is.
    pub(super) fn attachments(&mut self, scope: Scope) -> Vec<Attachment> {
        let Some(rule) = self.rule(Field::Attachments, scope) else { return Vec::new() };
        let mut attachments = Vec::new();
        for at in self.all(rule, scope) {
            let is_object = matches!(self.document.node(at), Node::Object(_));
            let [media_type, data, url, title] = if is_object {
                ["contentType", "data", "url", "title"].map(|name| self.part(at, name))
            } else {
                let text = self.text_at(at);
                let is_url = text.is_some_and(|it| it.starts_with("http://") || it.starts_with("https://"));
                if is_url { [None, None, text, None] } else { [None, text, None, None] }
            };
            let position = self.position(at);
            // The data may be large, and is read where it stands.
            let decoded = data.map(|data| attachment::decode(media_type, data));
            let [media_type, url, title] = [media_type, url, title].map(|it| it.map(str::to_owned));
            let read = match (decoded, url) {
                (Some(Ok(document)), _) => {
                    Attachment { title, ..Attachment::of(position, media_type, document) }
                }
                (None, Some(url)) => Attachment::pointing_at(position, media_type, url, title),
                (Some(Err(fault)), _) => {
                    self.gaps.diagnostics.push(fault.diagnostic(position));
                    continue;
                }
                (None, None) => {
                    self.gaps.diagnostics.push(Fault::Missing.diagnostic(position));
                    continue;
                }
            };
            attachments.push(read);
        }
        attachments
    }
}
