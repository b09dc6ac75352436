//! Which segment belongs to which: patients, their orders, and the results, specimens and notes of each.
//!
//! Segments are numbered by their place in the message. The order is that of ORU^R01 (chapter 7, §7.3.1), read
//! leniently: nothing is required here, and what has no owner is listed as such.

use std::ops::Range;

use crate::formats::hl7v2::Segment;

/// A segment with the notes that follow it.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted {
    pub(super) at: usize,
    pub(super) notes: Vec<usize>,
}

/// One OBR with what belongs to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    pub(super) orc: Option<usize>,
    pub(super) obr: usize,
    /// From ORC or OBR to before the next.
    pub(super) range: Range<usize>,
    pub(super) notes: Vec<usize>,
    /// With the specimen that stands before each, if one does.
    pub(super) results: Vec<(Noted, Option<usize>)>,
    pub(super) specimens: Vec<Noted>,
}

/// What stands under one PID.
#[derive(Debug, Clone, Default)]
pub(super) struct Patient {
    pub(super) pid: Option<usize>,
    /// Up to the first order.
    pub(super) head: Range<usize>,
    pub(super) notes: Vec<usize>,
    pub(super) orders: Vec<Order>,
    /// SPM before any OBR.
    pub(super) specimens: Vec<Noted>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    pub(super) patients: Vec<Patient>,
    /// OBX that no OBR precedes.
    pub(super) orphans: Vec<usize>,
}

/// What the next NTE speaks of.
enum Target {
    Patient,
    /// An ORC; its OBR is still to come.
    Coming(Vec<usize>),
    Order,
    Result,
    Specimen,
    LooseSpecimen,
}

impl Outline {
    pub(super) fn of(segments: &[Segment<'_>]) -> Self {
        let mut outline = Self::default();
        let mut orc = None;
        let mut target = Target::Patient;
        for (at, segment) in segments.iter().enumerate() {
            match segment.name() {
                "PID" => {
                    orc = None;
                    target = Target::Patient;
                    outline.patients.push(Patient { pid: Some(at), head: at..at + 1, ..Patient::default() });
                }
                "ORC" => {
                    orc = Some(at);
                    target = Target::Coming(Vec::new());
                }
                "OBR" => {
                    let notes = if let Target::Coming(notes) = target { notes } else { Vec::new() };
                    let order = Order { orc: orc.take(), obr: at, notes, ..Order::default() };
                    outline.patient(at).orders.push(order);
                    target = Target::Order;
                }
                "OBX" => target = outline.result(at, target),
                "SPM" => target = outline.specimen(at),
                "NTE" => outline.note(at, &mut target),
                _ => {}
            }
        }
        outline.close(segments.len());
        outline
    }

    /// The patient at hand; one without PID where none was named.
    fn patient(&mut self, at: usize) -> &mut Patient {
        if self.patients.is_empty() {
            self.patients.push(Patient { head: at..at, ..Patient::default() });
        }
        self.patients.last_mut().expect("one was pushed if there was none")
    }

    fn result(&mut self, at: usize, target: Target) -> Target {
        let order = self.patients.last_mut().and_then(|patient| patient.orders.last_mut());
        let Some(order) = order.filter(|_| !matches!(target, Target::Coming(_))) else {
            self.orphans.push(at);
            return target;
        };
        let specimen = order.specimens.last().map(|specimen| specimen.at);
        order.results.push((Noted { at, notes: Vec::new() }, specimen));
        Target::Result
    }

    fn specimen(&mut self, at: usize) -> Target {
        let patient = self.patient(at);
        let specimen = Noted { at, notes: Vec::new() };
        if let Some(order) = patient.orders.last_mut() {
            order.specimens.push(specimen);
            Target::Specimen
        } else {
            patient.specimens.push(specimen);
            Target::LooseSpecimen
        }
    }

    fn note(&mut self, at: usize, target: &mut Target) {
        let patient = self.patient(at);
        let order = patient.orders.last_mut();
        let notes = match (target, order) {
            (Target::Coming(notes), _) => notes,
            (Target::Order, Some(order)) => &mut order.notes,
            (Target::Result, Some(order)) => match order.results.last_mut() {
                Some((result, _)) => &mut result.notes,
                None => &mut order.notes,
            },
            (Target::Specimen, Some(order)) => match order.specimens.last_mut() {
                Some(specimen) => &mut specimen.notes,
                None => &mut order.notes,
            },
            (Target::LooseSpecimen, _) => match patient.specimens.last_mut() {
                Some(specimen) => &mut specimen.notes,
                None => &mut patient.notes,
            },
            _ => &mut patient.notes,
        };
        notes.push(at);
    }

    /// Fills in where each patient's head and each order ends.
    fn close(&mut self, end: usize) {
        let mut next_patient = end;
        for patient in self.patients.iter_mut().rev() {
            let mut next = next_patient;
            for order in patient.orders.iter_mut().rev() {
                order.range = order.orc.unwrap_or(order.obr)..next;
                next = order.range.start;
            }
            patient.head.end = next;
            next_patient = patient.head.start;
        }
    }
}
