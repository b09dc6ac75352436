//! Wording with slots: `Potassium is {potassium}.` A slot shows a value as sent, or a computed one as rounded.

use crate::clinical::interpret::rules::evaluate::Trace;
use crate::clinical::interpret::rules::evaluate::View;
use crate::clinical::interpret::rules::expression::Parser;
use crate::clinical::interpret::rules::expression::Quantity;
use crate::clinical::interpret::rules::interval::Interval;

/// What a slot says when there is nothing to show.
const NOTHING: &str = "not reported";

#[derive(Debug, Default)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Slot(Slot),
    Text(String),
}

#[derive(Debug)]
enum Slot {
    /// The laboratory's own flags.
    Flags,
    /// The analyte's name, for a clinician.
    Name,
    Quantity(Quantity),
    /// The range as sent, or ours with a word that it is.
    Range(Option<String>),
    Unit,
}

impl Template {
    pub(super) fn parse(text: &str, knows: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a slot is not closed")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Slot(slot(name, knows)?));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { parts })
    }

    /// The finished text. What a slot shows is cited: it is added to what the finding rests on.
    pub(super) fn render<'a>(&self, view: View<'_, 'a>, trace: &mut Trace<'a>) -> String {
        let shown = self.parts.iter().map(|part| match part {
            Part::Slot(slot) => slot.show(view, trace),
            Part::Text(text) => text.clone(),
        });
        shown.collect()
    }
}

fn slot(name: &str, knows: &dyn Fn(&str) -> bool) -> Result<Slot, String> {
    Ok(match name.split('.').collect::<Vec<_>>().as_slice() {
        ["flags"] => Slot::Flags,
        ["name"] => Slot::Name,
        ["range"] => Slot::Range(None),
        ["unit"] => Slot::Unit,
        [key, "range"] if knows(key) => Slot::Range(Some((*key).to_owned())),
        _ => Slot::Quantity(Parser::new(&[], knows).quantity(name)?),
    })
}

impl Slot {
    fn show<'a>(&self, view: View<'_, 'a>, trace: &mut Trace<'a>) -> String {
        let each = view.each;
        let shown = match self {
            Self::Flags => each.map(|it| it.lab_flags.clone()),
            Self::Name => each.map(|it| it.analyte.name.clone()),
            Self::Range(None) => each.map(|it| it.range_shown.clone()),
            Self::Range(Some(key)) => view.scene.of_key(key).next().map(|it| it.range_shown.clone()),
            Self::Unit => each.map(|it| it.analyte.unit.clone()),
            Self::Quantity(Quantity::Value) => each.map(|it| it.shown.clone()),
            Self::Quantity(quantity) => show_quantity(quantity, view, trace),
        };
        shown.unwrap_or_else(|| NOTHING.to_owned())
    }
}

fn show_quantity<'a>(quantity: &Quantity, view: View<'_, 'a>, trace: &mut Trace<'a>) -> Option<String> {
    let mut own = Trace::default();
    let value = view.quantity(quantity, &mut own);
    own.missing.clear();
    let shown = match quantity {
        Quantity::Named(name) => own.readings.get(name).cloned(),
        Quantity::Earlier(key, _) => own.readings.get(&format!("earlier.{key}")).cloned(),
        _ => value.and_then(Interval::exact).map(|it| it.normalize().to_string()),
    };
    trace.absorb(own);
    value.and(shown)
}
