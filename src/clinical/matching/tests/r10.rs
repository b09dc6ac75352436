//! R10: no result is put on the wrong patient. Near-miss identities against a clinic that knows one or both people.

use super::*;

/// Pairs of one run of continuous integration; the promise's own figure is fifty times this.
const PAIRS: u32 = 100_000;

/// SplitMix64: the same pairs on every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed >> 33) % u64::from(bound)).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(u32::try_from(of.len()).unwrap()) as usize].clone()
    }

    fn person(&mut self, id: u32) -> Person {
        let family =
            ["Quillfeather", "Vane", "O'Dwyer-Finch", "Achterberg", "Li", "Nwosu", "Thistlewood", "Szép"];
        let given = ["Odalys", "Peregrine", "Mirabel", "Ignatius", "Xanthe", "Bo", "Clementine", "Zoë"];
        let nhs = (self.below(2) == 0).then(|| format!("4{:09}", self.below(999_999_999)));
        let day = |chance: &mut Self, bound| i8::try_from(chance.below(bound) + 1).unwrap();
        // From February on: 1 January always asks for a person, which is tested where it is meant.
        let (month, date) = (day(self, 11) + 1, day(self, 28));
        Person {
            id,
            family: self.pick(&family).into(),
            given: self.pick(&given).into(),
            born: Date::new(i16::try_from(1930 + self.below(75)).unwrap(), month, date).unwrap(),
            sex: self.pick(&[Sex::Female, Sex::Male]),
            postcode: format!("ZZ{} {}AA", self.below(9) + 1, self.below(9) + 1),
            nhs,
        }
    }

    /// Another person who is nearly `of`.
    fn near(&mut self, of: &Person, id: u32) -> Person {
        let mut other = Person { id, nhs: None, ..of.clone() };
        if self.below(2) == 0 {
            other.nhs = Some(format!("6{:09}", self.below(999_999_999)));
        }
        match self.below(8) {
            // A twin, who lives at the same address.
            0 => other.given = format!("{}ette", of.given),
            // Day and month exchanged where that is a date, else one day on.
            1 => {
                let (year, month, day) = (of.born.year(), of.born.month(), of.born.day());
                other.born = Date::new(year, day, month)
                    .ok()
                    .filter(|it| *it != of.born)
                    .unwrap_or(of.born.tomorrow().unwrap());
            }
            // One digit of the year.
            2 => other.born = Date::new(of.born.year() + 1, of.born.month(), of.born.day()).unwrap(),
            // Another surname, as after a marriage.
            3 => other.family = format!("{}son", of.family.replace(['\'', '-'], "x")),
            // The same name, another birth date.
            4 => other.born = Date::new(of.born.year() - 20, 6, 15).unwrap(),
            // The same name and birth date at another address.
            5 => other.postcode = "YY9 9ZZ".into(),
            // Parent and child: the same names, the other sex where names do not tell.
            6 => other.sex = if of.sex == Sex::Female { Sex::Male } else { Sex::Female },
            // Surname and given name exchanged.
            _ => (other.family, other.given) = (of.given.clone(), of.family.clone()),
        }
        other
    }
}

/// What a look-up for this report finds: the order's patient, and everyone a search by birth date or name brings up.
fn found(people: &[&Person], order: Option<Order>) -> Candidates {
    let people = people.iter().map(|it| it.candidate(Source::Search)).collect();
    let open_orders = order.iter().cloned().collect();
    Candidates { people, order, open_orders, earlier: None }
}

/// Sends the report of `truth` to a clinic; returns whether it was matched without a person, and never to another.
fn sent(truth: &Person, people: &[&Person], order: Option<&Person>, settings: &Settings) -> bool {
    let order = order.map(Person::order);
    let mut report = truth.report();
    report.order_number = order.as_ref().map(|it| it.number.to_string());
    match decide(&report, &found(people, order), settings) {
        Match::Automatic { patient, .. } => {
            assert_eq!(patient.as_str(), truth.id.to_string(), "wrong patient: {truth:?} among {people:?}");
            true
        }
        Match::None { .. } | Match::Quarantine { .. } | Match::Review { .. } => false,
    }
}

#[test]
fn r10_no_near_miss_is_matched_and_exact_pairs_are() {
    let mut chance = Chance(10);
    let settings = Settings { names_withheld: false, ..Settings::default() };
    let mut exact = 0;
    for pair in 0..PAIRS {
        let patient = chance.person(2 * pair + 1);
        let stranger = chance.near(&patient, 2 * pair + 2);

        let told_apart = stranger.family != patient.family
            || stranger.given != patient.given
            || stranger.born != patient.born
            || stranger.sex != patient.sex
            || stranger.nhs.is_some() && patient.nhs.is_some();
        let both = [&patient, &stranger];
        match pair % 6 {
            // The clinic does not know the stranger, whose result comes without a number.
            0 => sent(&stranger, &[&patient], None, &settings),
            // It comes with the patient's number, as when kits are exchanged in a household. Two people whom no field
            // tells apart cannot be told apart here either.
            1 if told_apart => sent(&stranger, &[&patient], Some(&patient), &settings),
            2 if told_apart => sent(&stranger, &both, Some(&patient), &settings),
            // The clinic knows both, and each result has its own number or none.
            3 => sent(&stranger, &both, Some(&stranger), &settings),
            4 => sent(&patient, &both, Some(&patient), &settings),
            _ => sent(&patient, &both, None, &settings),
        };
        exact += u32::from(sent(&patient, &[&patient], Some(&patient), &settings));
    }
    assert!(exact * 100 >= PAIRS * 99, "only {exact} of {PAIRS} exact pairs were matched");
}
