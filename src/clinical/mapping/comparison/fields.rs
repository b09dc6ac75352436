//! What is compared of reports, panels, results and specimens, field by field.

use crate::clinical::mapping::comparison::Comparison;
use crate::clinical::mapping::comparison::Kind;
use crate::clinical::mapping::comparison::Place;
use crate::clinical::mapping::comparison::pair::Pair;
use crate::clinical::mapping::comparison::pair::pair;
use crate::clinical::mapping::comparison::words;
use crate::clinical::model::Attachment;
use crate::clinical::model::LabResult;
use crate::clinical::model::Note;
use crate::clinical::model::Panel;
use crate::clinical::model::Report;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Specimen;
use crate::clinical::model::Value;

impl Comparison {
    pub(super) fn reports(&mut self, old: &[Report], new: &[Report]) {
        pair(old, new, place_of, |pair| match pair {
            Pair::Both(old, new) => self.report(old, new),
            Pair::Old(it) => self.alone(Kind::Report, "report", place_of(it), [None, None], true),
            Pair::New(it) => self.alone(Kind::Report, "report", place_of(it), [None, None], false),
        });
        let [old_panels, new_panels] = [old, new].map(|it| it.iter().flat_map(|report| &report.panels));
        pair(
            old_panels,
            new_panels,
            |it| it.id.as_str(),
            |pair| match pair {
                Pair::Both(old, new) => self.panel(old, new),
                Pair::Old(it) => self.alone(Kind::Report, "panel", &it.id, [Some(&it.code), None], true),
                Pair::New(it) => self.alone(Kind::Report, "panel", &it.id, [None, Some(&it.code)], false),
            },
        );
        let [old_results, new_results] = [old, new]
            .map(|it| it.iter().flat_map(|report| report.panels.iter().map(move |panel| (report, panel))));
        let [old_results, new_results] = [old_results, new_results]
            .map(|it| it.flat_map(|(report, panel)| panel.results.iter().map(move |it| (report, it))));
        pair(
            old_results,
            new_results,
            |(_, it)| it.id.0.as_str(),
            |pair| match pair {
                Pair::Both(old, new) => self.result(old, new),
                Pair::Old((_, it)) => {
                    self.alone(Kind::Result, "result", &it.id.0, [Some(&it.code), None], true);
                }
                Pair::New((_, it)) => {
                    self.alone(Kind::Result, "result", &it.id.0, [None, Some(&it.code)], false);
                }
            },
        );
        let [old_specimens, new_specimens] =
            [old, new].map(|it| it.iter().flat_map(|report| &report.specimens));
        pair(
            old_specimens,
            new_specimens,
            |it| it.id.as_str(),
            |pair| match pair {
                Pair::Both(old, new) => self.specimen(old, new),
                Pair::Old(it) => self.alone(Kind::Specimen, "specimen", &it.id, [None, None], true),
                Pair::New(it) => self.alone(Kind::Specimen, "specimen", &it.id, [None, None], false),
            },
        );
    }

    fn report(&mut self, old: &Report, new: &Report) {
        let place = Place { at: place_of(old), codes: [None, None] };
        let filler = [&old.filler_number, &new.filler_number];
        self.field(Kind::Number, "report.filler_number", place, filler, |it| Some(it.clone()));
        for (name, numbers) in [
            ("report.order_number", [&old.order_number, &new.order_number]),
            ("report.account", [&old.account, &new.account]),
            ("report.facility", [&old.facility, &new.facility]),
        ] {
            self.field(Kind::Number, name, place, numbers, Clone::clone);
        }
        let status = [&old.status, &new.status];
        self.field(Kind::Status, "report.status", place, status, |it| Some(it.as_str().to_owned()));
        self.patient(old, new, place);
        self.notes(place, [&old.notes, &new.notes]);
        pair(
            &old.attachments,
            &new.attachments,
            |it| it.id.as_str(),
            |pair| {
                let sides = match pair {
                    Pair::Both(old, new) => [Some(old), Some(new)],
                    Pair::Old(it) => [Some(it), None],
                    Pair::New(it) => [None, Some(it)],
                };
                let at = sides.into_iter().flatten().next().map_or("", |it| it.id.as_str());
                let place = Place { at, codes: [None, None] };
                let [old, new] = sides.map(|it| it.map(document));
                self.field(Kind::Document, "report.attachments", place, [&old, &new], |it| {
                    it.as_ref().map(words::document)
                });
            },
        );
        let (old, new) = (&old.origin, &new.origin);
        self.field(Kind::Time, "message.sent_at", place, [&old.sent_at, &new.sent_at], |it| {
            words::moment(it.as_ref())
        });
        for (name, texts) in [
            ("message.control_id", [&old.control_id, &new.control_id]),
            ("message.sender", [&old.sender, &new.sender]),
        ] {
            self.field(Kind::Detail, name, place, texts, |it| Some(it.clone()));
        }
    }

    fn patient(&mut self, old: &Report, new: &Report, place: Place<'_>) {
        let (old, new) = (&old.patient, &new.patient);
        let kind = Kind::Identity;
        let identifiers = [&old.identifiers, &new.identifiers];
        self.field(kind, "patient.identifiers", place, identifiers, |it| words::identifiers(it));
        self.field(kind, "patient.names", place, [&old.names, &new.names], |it| words::names(it));
        let born = [&old.birth_date, &new.birth_date];
        self.field(kind, "patient.birth_date", place, born, |it| {
            it.as_ref().map(|it| it.expose().iso.clone())
        });
        let sexes = [&(old.sex, &old.sex_sent), &(new.sex, &new.sex_sent)];
        self.field(kind, "patient.sex", place, sexes, |(sex, sent)| words::sex(*sex, sent.as_deref()));
        let addresses = [&old.addresses, &new.addresses];
        self.field(kind, "patient.addresses", place, addresses, |it| words::addresses(it));
        let telecoms = [&old.telecoms, &new.telecoms];
        self.field(kind, "patient.telecoms", place, telecoms, |it| words::telecoms(it));
        let deceased = [&old.deceased, &new.deceased];
        self.field(kind, "patient.deceased", place, deceased, |it| it.map(words::yes_or_no));
    }

    fn panel(&mut self, old: &Panel, new: &Panel) {
        let place = Place { at: &old.id, codes: [Some(&old.code), Some(&new.code)] };
        self.field(Kind::Code, "panel.code", place, [&old.code, &new.code], words::code);
        let status = [&old.status, &new.status];
        self.field(Kind::Status, "panel.status", place, status, |it| Some(it.as_str().to_owned()));
        for (name, moments) in [
            ("panel.collected_at", [&old.collected_at, &new.collected_at]),
            ("panel.received_at", [&old.received_at, &new.received_at]),
            ("panel.reported_at", [&old.reported_at, &new.reported_at]),
        ] {
            self.field(Kind::Time, name, place, moments, |it| words::moment(it.as_ref()));
        }
        for (name, texts) in [
            ("panel.requester", [&old.requester, &new.requester]),
            ("panel.clinical_information", [&old.clinical_information, &new.clinical_information]),
        ] {
            self.field(Kind::Detail, name, place, texts, |it| it.as_ref().map(|it| it.expose().clone()));
        }
        self.notes(place, [&old.notes, &new.notes]);
        self.field(Kind::Detail, "panel.extra", place, [&old.extra, &new.extra], |it| words::extra(it));
    }

    fn result(&mut self, (of_old, old): (&Report, &LabResult), (of_new, new): (&Report, &LabResult)) {
        let place = Place { at: &old.id.0, codes: [Some(&old.code), Some(&new.code)] };
        self.field(Kind::Code, "result.code", place, [&old.code, &new.code], words::code);
        // Where an attachment stands in its report's list depends on the others; documents are compared as such.
        let both_documents =
            matches!((&old.value, &new.value), (Value::Attachment { .. }, Value::Attachment { .. }));
        if !both_documents {
            self.field(Kind::Value, "result.value", place, [&old.value, &new.value], words::value);
        }
        self.field(Kind::Unit, "result.unit", place, [&old.unit, &new.unit], |it| words::unit(it.as_ref()));
        let ranges = [&old.range, &new.range];
        self.field(Kind::Range, "result.range", place, ranges, |it| it.as_ref().map(|it| it.sent.clone()));
        self.field(Kind::Flags, "result.flags", place, [&old.flags, &new.flags], |it| words::flags(it));
        let status = [&(old.status, old.detail), &(new.status, new.detail)];
        self.field(Kind::Status, "result.status", place, status, |(status, detail)| {
            Some(detail.map_or(status.as_str(), |it| it.as_str()).to_owned())
        });
        for (name, moments) in [
            ("result.observed_at", [&old.observed_at, &new.observed_at]),
            ("result.analysed_at", [&old.analysed_at, &new.analysed_at]),
        ] {
            self.field(Kind::Time, name, place, moments, |it| words::moment(it.as_ref()));
        }
        let interpreted = [&!old.not_interpreted, &!new.not_interpreted];
        self.field(Kind::Interpretation, "result", place, interpreted, |it| Some(words::interpreted(*it)));
        let specimens =
            [(of_old, old), (of_new, new)].map(|(of, it)| of.specimens.get(it.specimen?).map(|it| &it.id));
        let [old_specimen, new_specimen] = &specimens;
        self.field(Kind::Specimen, "specimen", place, [old_specimen, new_specimen], |it| it.cloned());
        self.notes(place, [&old.notes, &new.notes]);
        self.field(Kind::Detail, "result.sub_id", place, [&old.sub_id, &new.sub_id], Clone::clone);
        self.field(Kind::Detail, "result.methods", place, [&old.methods, &new.methods], |it| {
            words::codes(it)
        });
        let labs = [&old.performing_lab, &new.performing_lab];
        self.field(Kind::Detail, "result.performing_lab", place, labs, Clone::clone);
        self.field(Kind::Detail, "result.extra", place, [&old.extra, &new.extra], |it| words::extra(it));
    }

    fn specimen(&mut self, old: &Specimen, new: &Specimen) {
        let place = Place { at: &old.id, codes: [None, None] };
        for (name, numbers) in [
            ("specimen.accession", [&old.accession, &new.accession]),
            ("specimen.placer_number", [&old.placer_number, &new.placer_number]),
        ] {
            self.field(Kind::Number, name, place, numbers, Clone::clone);
        }
        let kinds = [&old.kind, &new.kind];
        self.field(Kind::Specimen, "specimen.kind", place, kinds, |it| it.as_ref().and_then(words::code));
        for (name, codes) in [
            ("specimen.conditions", [&old.conditions, &new.conditions]),
            ("specimen.reject_reasons", [&old.reject_reasons, &new.reject_reasons]),
        ] {
            self.field(Kind::Specimen, name, place, codes, |it| words::codes(it));
        }
        for (name, moments) in [
            ("specimen.collected_at", [&old.collected_at, &new.collected_at]),
            ("specimen.received_at", [&old.received_at, &new.received_at]),
        ] {
            self.field(Kind::Time, name, place, moments, |it| words::moment(it.as_ref()));
        }
        self.notes(place, [&old.notes, &new.notes]);
        self.field(Kind::Detail, "specimen.extra", place, [&old.extra, &new.extra], |it| words::extra(it));
    }

    fn notes(&mut self, place: Place<'_>, notes: [&Vec<Note>; 2]) {
        self.field(Kind::Notes, "note.text", place, notes, |it| words::notes(it));
    }
}

/// A report is known by its first panel; one without any is known by nothing, and so by its order.
fn place_of(report: &Report) -> &str {
    report.panels.first().map_or("", |panel| panel.id.as_str())
}

/// What makes a document another one.
pub(super) type Document<'r> =
    (Option<&'r String>, Option<&'r String>, Option<&'r Sensitive<String>>, Option<&'r String>);

fn document(it: &Attachment) -> Document<'_> {
    (it.media_type.as_ref(), it.sha256.as_ref(), it.pointer.as_ref(), it.title.as_ref())
}
