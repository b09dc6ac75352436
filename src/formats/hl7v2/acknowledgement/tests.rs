//! What is sent back, byte for byte, and what is read from others' answers.

use super::*;

const FRESH: Fresh<'static> = Fresh { control_id: "G1", time: "20240101120000+0000" };

const PROBLEM: Problem<'static> = Problem {
    location: Some(Location::segment(*b"OBX", 3).field(5)),
    condition: Condition0357::DataType,
    severity: Severity::Error,
    code: "H012",
    text: "the value is no number",
};

fn answer(message: &str, code: Code, problems: &[Problem<'_>]) -> String {
    let decoded = decode(message.as_bytes());
    String::from_utf8(build(decoded.message.as_ref(), code, problems, FRESH)).unwrap()
}

#[test]
fn answers_in_the_senders_form() {
    assert_eq!(
        answer(
            "MSH|^~\\&|LAB^1^ISO|F|GW|C|2024||ORU^R01^ORU_R01|M\\T\\7|T|2.5.1||||||8859/1\r",
            Code::AA,
            &[]
        ),
        "MSH|^~\\&|GW|C|LAB^1^ISO|F|20240101120000+0000||ACK^R01^ACK|G1|T|2.5.1||||||8859/1\rMSA|AA|M\\T\\7\r"
    );
    assert_eq!(
        answer("MSH#!%*@#LAB#F#GW#C###ORU!R01#7#P#2.3\r", Code::AA, &[]),
        "MSH#!%*@#GW#C#LAB#F#20240101120000+0000##ACK!R01#G1#P#2.3\rMSA#AA#7\r"
    );
}

#[test]
fn gives_its_reasons_by_version() {
    let new = answer("MSH|^~\\&|A|B|C|D|||ORU^R01|7|P|2.5\r", Code::AE, &[PROBLEM]);
    assert!(new.ends_with(
        "MSA|AE|7\rERR||OBX^3^5|102^Data type error^HL70357|E|H012||H012 at OBX[3]-5|the value is no number\r"
    ));
    let plain = Problem { location: None, ..PROBLEM };
    let old = answer("MSH|^~\\&|A|B|C|D|||ORU^R01|7|P|2.4\r", Code::AE, &[PROBLEM, plain]);
    assert!(old.ends_with(
        "MSA|AE|7|the value is no number\rERR|OBX^3^5^102&Data type error&HL70357&H012&the value is no number\
         ~^^^102&Data type error&HL70357&H012&the value is no number\r"
    ), "{old}");
}

#[test]
fn answers_what_has_no_header() {
    assert_eq!(
        answer("not HL7", Code::AR, &[]),
        "MSH|^~\\&|||||20240101120000+0000||ACK^^ACK|G1|P|2.5.1\rMSA|AR|\r"
    );
}

#[test]
fn answers_as_often_as_asked() {
    let mode = |commit: &str, application: &str| {
        let text = format!("MSH|^~\\&|A|B|C|D|||ORU^R01|7|P|2.5|||{commit}|{application}\r");
        Mode::of(&decode(text.as_bytes()).message.unwrap())
    };
    let check = |commit, application, outcome, codes: &[Code]| {
        assert_eq!(mode(commit, application).answers(outcome), codes, "{commit} {application} {outcome:?}");
    };
    check("", "", Outcome::Accept, &[Code::AA]);
    check("", "", Outcome::Reject, &[Code::AR]);
    check("AL", "AL", Outcome::Accept, &[Code::CA, Code::AA]);
    check("AL", "NE", Outcome::Accept, &[Code::CA]);
    check("AL", "AL", Outcome::Error, &[Code::CE]);
    check("NE", "ER", Outcome::Accept, &[]);
    check("NE", "ER", Outcome::Reject, &[Code::AR]);
    check("SU", "NE", Outcome::Error, &[]);
    check("", "AL", Outcome::Accept, &[Code::AA]);
    check("NE", "NE", Outcome::Reject, &[]);
}

#[test]
fn never_answers_an_answer() {
    for text in ["MSH|^~\\&|||||||ACK^R01|7|P|2.5\r", "MSH|^~\\&|||||||ORR^O02|7|P|2.5\rMSA|AA|1\r"] {
        assert_eq!(Mode::of(&decode(text.as_bytes()).message.unwrap()), Mode::Silent);
    }
}

#[test]
fn reads_its_own_answers() {
    for version in ["2.3", "2.5.1"] {
        let text = answer(&format!("MSH|^~\\&|A|B|C|D|||ORU^R01|7|P|{version}\r"), Code::AE, &[PROBLEM]);
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!((read.code, read.control_id.as_str()), (Code::AE, "7"));
        let expected = Reported {
            code: "102".into(),
            location: "OBX[3]-5".into(),
            text: "the value is no number".into(),
        };
        assert_eq!(read.problems, [expected], "{version}");
    }
}

#[test]
fn refuses_what_is_no_answer() {
    assert_eq!(parse(b"hello"), Err(Error::NoHeader));
    assert_eq!(parse(b"MSH|^~\\&|\r"), Err(Error::NoMsa));
    assert_eq!(parse(b"MSH|^~\\&|\rMSA|XX|1\r"), Err(Error::UnknownCode));
}
