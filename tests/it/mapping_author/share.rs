//! What a copy must not have, and what it must keep.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use haemosync_gateway::clinical::mapping::Catalog;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::Reading;
use haemosync_gateway::clinical::mapping::comparison::Kind;
use haemosync_gateway::clinical::mapping::comparison::compare;
use haemosync_gateway::clinical::mapping::share::Key;
use haemosync_gateway::clinical::mapping::share::share;
use haemosync_gateway::clinical::terminology::nhs_number;
use haemosync_gateway::formats::hl7v2;
use proptest::prelude::*;

/// What a person would be known by in a generated message.
#[derive(Debug, Clone)]
struct Person {
    family: String,
    given: String,
    nhs_number: String,
    birth_date: String,
    street: String,
    phone: String,
    email: String,
    comment: Vec<String>,
    /// The file's number of the report.
    filler: String,
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Z][a-z]{3,9}",
        1 => "[A-Z]{4,9}",
        1 => "[A-Z][a-z]{1,3}[éüøł][a-z]{2,4}",
    ]
}

fn number() -> impl Strategy<Value = String> {
    "[1-9][0-9]{8}".prop_map(|nine| {
        let of = |last: u32| format!("{nine}{last}");
        (0..10)
            .map(of)
            .find(|it| matches!(nhs_number::read(it), nhs_number::Reading::Valid(_)))
            .unwrap_or_else(|| of(0))
    })
}

fn person() -> impl Strategy<Value = Person> {
    let dates = prop_oneof![
        3 => (1920_u32..2010, 1_u32..13, 1_u32..29).prop_map(|(y, m, d)| format!("{y}{m:02}{d:02}")),
        1 => (1920_u32..2010).prop_map(|y| format!("{y}0231")),
    ];
    let comment = prop::collection::vec(word(), 0..5);
    (word(), word(), number(), dates, word(), "0[1-9][0-9]{9}", "[a-z]{4,8}", comment, "[A-Z][0-9]{6}")
        .prop_map(|(family, given, nhs_number, birth_date, street, phone, mail, comment, filler)| Person {
            family,
            given,
            nhs_number,
            birth_date,
            street,
            phone,
            email: format!("{mail}@{mail}x.org"),
            comment,
            filler,
        })
}

/// A message about a person: some valid, some faulty; `fault` is put into a comment as it is.
fn message(person: &Person, value: &str, code: &str, fault: &[u8], charset: &str) -> Vec<u8> {
    let Person { family, given, nhs_number, birth_date, street, phone, email, comment, filler } = person;
    let text = format!(
        "MSH|^~\\&|LAB|FAC|||20260301090000+0000||ORU^R01^ORU_R01|{filler}|P|2.5.1||||||{charset}\r\
         PID|1||{nhs_number}^^^NHS^NH~H{filler}^^^HOSP^MR||{family}^{given}^^^Ms||{birth_date}|F|||{street} Road 12^^{street}ton^^AB1 2CD^^H||{phone}^PRN^PH~^NET^Internet^{email}\r\
         NK1|1|{family}^{given}|SPO|{street} Road 12\r\
         OBR|1|O{filler}|{filler}|24323-8^Panel^LN|||20260301083000+0000||||||{}|||{filler}^{family}^{given}||||||20260301085900+0000||CH|F\r\
         OBX|1|NM|{code}^Haemoglobin^LN||{value}|g/L|115-165|L|||F\r\
         OBX|2|ST|5778-6^Colour^LN||{family} told {given}\\T\\co \\X4D\\ \\.br\\ end||||||F\r\
         NTE|1|L|{} ",
        comment.first().cloned().unwrap_or_default(),
        comment.join(" "),
    );
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(fault);
    bytes.extend_from_slice(b"|\r");
    bytes
}

fn mapping() -> Mapping {
    let folder = [
        ("labs/standard/mapping.toml", include_str!("../../../mappings/labs/standard/mapping.toml")),
        ("labs/standard/units.csv", include_str!("../../../mappings/labs/standard/units.csv")),
    ];
    let files: BTreeMap<String, String> =
        folder.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    Catalog::compile(&files).unwrap().lab("standard").unwrap().clone()
}

fn told(reading: &Reading) -> Vec<(String, String)> {
    reading.diagnostics.iter().map(|it| (it.code.as_str().to_owned(), it.position.clone())).collect()
}

fn words(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let words = text.split(|it: char| !it.is_alphanumeric()).filter(|it| it.chars().count() >= 3);
    words.map(str::to_owned).collect()
}

/// Holds a copy against its message: what must be gone, and what must have stayed.
fn check(mapping: &Mapping, message: &[u8], person: &Person, key: u8) {
    let copy = share(mapping, message, &Key::from_random([key; 32])).unwrap();
    assert_eq!(copy.len(), message.len());
    let left = words(&copy);
    let Person { family, given, nhs_number, birth_date, street, phone, email, comment, filler } = person;
    for secret in
        [family, given, nhs_number, birth_date, street, phone, email, filler].into_iter().chain(comment)
    {
        for secret in words(secret.as_bytes()) {
            assert!(!left.contains(&secret), "{secret} is left in {}", String::from_utf8_lossy(&copy));
        }
    }
    for (before, after) in
        message.iter().zip(&copy).filter(|(before, _)| !before.is_ascii_alphanumeric() && before.is_ascii())
    {
        assert_eq!(before, after, "a delimiter changed");
    }
    let (sent, shared) = (hl7v2::decode(message), hl7v2::decode(&copy));
    assert_eq!(sent.deviations, shared.deviations);
    let number = |decoded: &hl7v2::Decoded<'_>| {
        let field = decoded.message.as_ref().unwrap().first("PID").unwrap().field(3);
        matches!(nhs_number::read(&field.component(1).text()), nhs_number::Reading::Valid(_))
    };
    assert_eq!(number(&sent), number(&shared));
    let [before, after] = [message, &copy].map(|bytes| mapping.read_bytes(bytes));
    assert_eq!(before.status, after.status);
    assert_eq!(told(&before), told(&after));
    let is_kept = |kind: Kind| {
        matches!(
            kind,
            Kind::Code
                | Kind::Unit
                | Kind::Range
                | Kind::Flags
                | Kind::Status
                | Kind::Interpretation
                | Kind::Result
                | Kind::Report
        )
    };
    let changed: Vec<_> =
        compare(&before.reports, &after.reports).into_iter().filter(|it| is_kept(it.kind)).collect();
    assert_eq!(changed, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_names_nobody_and_reads_the_same(
        person in person(),
        value in prop_oneof!["[1-9][0-9]{0,2}", "[1-9][.][0-9]{2}", "<[1-9]", "[1-9],[0-9]"],
        code in prop_oneof![Just("718-7"), Just("718-8"), Just("XQ")],
        fault in prop_oneof![Just(&b""[..]), Just(&b"\xFF\xFE"[..]), Just(&b"\\Q12\\"[..]), Just(&b"\\"[..]), Just(&b"\x01"[..])],
        charset in prop_oneof![Just("UNICODE UTF-8"), Just(""), Just("8859/1"), Just("NOPE")],
        key in any::<u8>(),
    ) {
        let mapping = mapping();
        let message = message(&person, &value, code, fault, charset);
        check(&mapping, &message, &person, key);
    }
}

fn shared(message: &str) -> String {
    String::from_utf8(share(&mapping(), message.as_bytes(), &Key::from_random([7; 32])).unwrap()).unwrap()
}

const HEAD: &str = "MSH|^~\\&|LAB|FAC|||20260301090000+0000||ORU^R01^ORU_R01|C-1|P|2.5.1\r";

#[test]
fn one_name_stays_one_name_in_any_case() {
    let copy = shared(&format!("{HEAD}PID|1||||QUILLFEATHER^Ottoline\rNK1|1|Quillfeather^Ottoline\r"));
    let decoded = hl7v2::decode(copy.as_bytes());
    let message = decoded.message.unwrap();
    let patient = message.first("PID").unwrap().field(5).text().into_owned();
    let relative = message.first("NK1").unwrap().field(2).text().into_owned();
    assert_ne!(patient, "QUILLFEATHER^Ottoline");
    assert_eq!(patient.to_lowercase(), relative.to_lowercase());
    assert!(
        patient.starts_with(|it: char| it.is_uppercase()) && patient.split('^').next().unwrap().len() == 12
    );
}

#[test]
fn numbers_keep_or_lack_their_check_digit_and_become_numbers_that_are_never_issued() {
    let copy = shared(&format!(
        "{HEAD}PID|1||9434765919^^^NHS^NH~943 476 5919^^^NHS^NH~9434765918^^^NHS^NH~0000000000^^^NHS^NH\r"
    ));
    let decoded = hl7v2::decode(copy.as_bytes());
    let field = decoded.message.as_ref().unwrap().first("PID").unwrap().field(3);
    let numbers: Vec<String> = field.repetitions().map(|it| it.component(1).text().into_owned()).collect();
    let [valid, spaced, invalid, nobody] = numbers.as_slice() else { panic!("{numbers:?}") };
    assert!(matches!(nhs_number::read(valid), nhs_number::Reading::Valid(_)) && valid.starts_with("999"));
    assert_eq!(spaced.replace(' ', ""), *valid, "in groups it is the same number");
    assert_eq!(nhs_number::read(invalid), nhs_number::Reading::WrongCheckDigit);
    assert_eq!(nobody, "0000000000", "a placeholder is nobody's");
}

#[test]
fn dates_move_together() {
    let copy = shared(&format!("{HEAD}PID|1||||A^B||19800229\rOBR|1||F-1|X|||20260301083000+0000\r"));
    let decoded = hl7v2::decode(copy.as_bytes());
    let message = decoded.message.unwrap();
    let date = |text: &str| -> jiff::civil::Date { text.get(..8).unwrap().parse().unwrap() };
    let born = date(&message.first("PID").unwrap().field(7).text());
    let taken = date(&message.first("OBR").unwrap().field(7).text());
    let apart = |a: jiff::civil::Date, b: jiff::civil::Date| (b - a).get_days();
    assert_eq!(apart(born, taken), apart(jiff::civil::date(1980, 2, 29), jiff::civil::date(2026, 3, 1)));
    assert_ne!(born, jiff::civil::date(1980, 2, 29));
}

#[test]
fn values_that_say_nothing_of_a_person_stay_and_others_do_not() {
    for (value, stays) in [
        ("5.10", true),
        ("<0.01", true),
        ("1:40", true),
        ("Not detected", true),
        ("NEGATIVE", true),
        ("12/03/1980", false),
        ("020 7946 0958", false),
        ("Seen by Dr Quillfeather", false),
    ] {
        let copy = shared(&format!("{HEAD}PID|1\rOBR|1||F-1|X\rOBX|1|ST|Y||{value}||||||F\r"));
        let decoded = hl7v2::decode(copy.as_bytes());
        let found = decoded.message.as_ref().unwrap().first("OBX").unwrap().field(5).text().into_owned();
        assert_eq!(found == value, stays, "{value} became {found}");
        assert_eq!(found.len(), value.len());
    }
}
