//! The traps of laboratory data that concern codes, units, ranges and statuses, each by its number in the trap list.
//!
//! Through a shipped mapping and bytes as a laboratory would send them; one `check` for all of them.

use std::fmt::Write as _;

use haemosync_gateway::clinical::mapping::Catalog;
use haemosync_gateway::clinical::mapping::Reading;
use haemosync_gateway::clinical::mapping::Status;
use haemosync_gateway::clinical::model::LabResult;
use haemosync_gateway::clinical::model::ReportStatus;
use haemosync_gateway::clinical::model::Sex;
use haemosync_gateway::clinical::model::Value;
use haemosync_gateway::config::library;

pub(crate) const HEADER: &str = "report_number,nhs_number,family,given,birth_date,sex,panel_code,code,name,value,unit,range,flag,status,comment,kit_barcode";

pub(crate) fn read(lab: &str, message: &str) -> Reading {
    let files = library::library(None).unwrap();
    let catalog = Catalog::compile(&files).unwrap();
    catalog.lab(lab).unwrap().read_bytes(message.as_bytes())
}

/// Rows of the standard table of one patient: code to comment.
pub(crate) fn table(rows: &[&str]) -> Reading {
    let rows: Vec<String> =
        rows.iter().map(|row| format!("TRAP-1,,Snodgrass-Vane,Isolde,1985-07-31,F,PNL,{row},")).collect();
    read("standard-csv", &format!("{HEADER}\n{}\n", rows.join("\n")))
}

/// One HL7 v2 message with these OBX fields from OBX-2 on.
pub(crate) fn er7(rows: &[&str]) -> Reading {
    let mut text = "MSH|^~\\&|LAB|FAC|GW|CL|20260316101500+0000||ORU^R01^ORU_R01|TRAP1|P|2.5.1|||||GBR|UNICODE UTF-8\r\
        PID|1||PX1^^^CLINIC^PI||SNODGRASS-VANE^ISOLDE||19850731|F\rOBR|1||TRAP-1|PNL^Panel^L|||20260316083000+0000|||||||||||||||20260316101000+0000|||F\r"
        .to_owned();
    for (at, row) in rows.iter().enumerate() {
        write!(text, "OBX|{}|{row}\r", at + 1).unwrap();
    }
    read("standard", &text)
}

pub(crate) fn results(reading: &Reading) -> Vec<&LabResult> {
    reading.reports.iter().flat_map(haemosync_gateway::clinical::model::Report::results).collect()
}

/// What became of a message: its status, the codes that are told, and how its first result reads.
#[track_caller]
pub(crate) fn check(reading: &Reading, status: Status, told: &[&str]) {
    let codes: Vec<&str> = reading.diagnostics.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(reading.status, status, "{codes:?}");
    for code in told {
        assert!(codes.contains(code), "{code} is not among {codes:?}");
    }
}

pub(crate) fn bounds(result: &LabResult) -> (Option<String>, Option<String>) {
    let range = result.range.as_ref().unwrap();
    (range.low.as_ref().map(ToString::to_string), range.high.as_ref().map(ToString::to_string))
}

pub(crate) fn ucum(result: &LabResult) -> Option<&str> {
    result.unit.as_ref().and_then(|unit| unit.ucum.as_deref())
}

#[test]
fn trap_01_a_range_in_another_unit_has_no_bounds() {
    let reading = table(&["2284-8,Folate,0.8,ng/mL,2.0-20.0 nmol/L,,F,"]);
    check(&reading, Status::Mapped, &[]);
    let result = results(&reading)[0];
    assert_eq!(bounds(result), (None, None));
    assert_eq!(result.range.as_ref().unwrap().sent, "2.0-20.0 nmol/L");
}

#[test]
fn trap_02_an_escaped_power_of_ten_is_a_unit() {
    let reading = er7(&["NM|6690-2^WBC^LN||6.4|x10\\S\\9/L^^L|4.0-11.0||||F"]);
    check(&reading, Status::Mapped, &[]);
    assert_eq!(ucum(results(&reading)[0]), Some("10*9/L"));
}

#[test]
fn trap_03_both_micro_signs_and_the_byte_are_one_unit() {
    for unit in ["µmol/L", "μmol/L", "umol/L"] {
        let reading = table(&[&format!("14682-9,Creatinine,71,{unit},45-84,,F,")]);
        check(&reading, Status::Mapped, &[]);
        assert_eq!(ucum(results(&reading)[0]), Some("umol/L"), "{unit}");
    }
}

#[test]
fn trap_04_comparators_are_kept_and_trailing_marks_are_not_repaired() {
    for (sent, is_number) in [("<0.1", true), (">90", true), ("≥60", true), ("5.0*", false)] {
        let reading = table(&[&format!("1988-5,CRP,{sent},mg/L,,,F,")]);
        check(&reading, Status::Mapped, &[]);
        let result = results(&reading)[0];
        assert_eq!(result.value.as_sent(), sent);
        assert_eq!(matches!(result.value, Value::Quantity { .. }), is_number, "{sent}");
        assert_eq!(result.not_interpreted, !is_number, "{sent}");
    }
}

#[test]
fn trap_05_a_one_sided_range_has_one_bound() {
    let reading = table(&["2276-4,Ferritin,81,ug/L,>37.5,,F,", "1988-5,CRP,0.4,mg/L,<1.00,,F,"]);
    check(&reading, Status::Mapped, &[]);
    let found = results(&reading);
    assert_eq!(bounds(found[0]), (Some("37.5".into()), None));
    assert_eq!(bounds(found[1]), (None, Some("1.00".into())));
}

#[test]
fn trap_06_a_range_by_sex_or_phase_is_text() {
    let reading = table(&["2243-4,Oestradiol,412,pmol/L,\"Follicular 77-921; luteal 77-1145\",,F,"]);
    check(&reading, Status::Mapped, &[]);
    assert_eq!(bounds(results(&reading)[0]), (None, None));
}

#[test]
fn trap_07_and_08_a_value_of_another_scale_stays_as_sent() {
    let reading =
        table(&["718-7,Haemoglobin,13.1,g/L,130-180,,F,", "4544-3,Haematocrit,42,L/L,0.37-0.47,,F,"]);
    check(&reading, Status::Mapped, &[]);
    let found = results(&reading);
    assert_eq!((found[0].value.as_sent(), ucum(found[0])), ("13.1", Some("g/L")));
    assert_eq!((found[1].value.as_sent(), ucum(found[1])), ("42", Some("L/L")));
}

#[test]
fn trap_09_a_ucum_code_that_contradicts_its_words_is_not_interpreted() {
    let message =
        include_str!("../../mappings/labs/standard-fhir/examples/ucum-contradicts-the-words/message.json");
    let reading = read("standard-fhir", message);
    check(&reading, Status::Mapped, &["F024"]);
    let result = results(&reading)[0];
    assert_eq!((ucum(result), result.not_interpreted), (None, true));
}

#[test]
fn trap_10_an_unknown_analyte_is_not_interpreted_or_holds() {
    let reading = er7(&["NM|ZQX^Novel^L||4.2|nmol/L|1.0-5.0||||F"]);
    check(&reading, Status::Mapped, &["T010"]);
    assert!(results(&reading)[0].not_interpreted);
    let message = include_str!("../../mappings/labs/json-aggregator/examples/code-unknown/message.json");
    check(&read("json-aggregator", message), Status::Held, &["T010"]);
}

#[test]
fn trap_11_a_panel_header_without_value_is_no_result_with_one() {
    let message = include_str!(
        "../../mappings/labs/standard-fhir/examples/normal-full-blood-count-grouped/message.json"
    );
    let reading = read("standard-fhir", message);
    check(&reading, Status::Mapped, &[]);
    assert_eq!(results(&reading).len(), 2);
}

#[test]
fn trap_12_the_same_analyte_twice_is_two_results() {
    let reading = table(&[
        "2823-3,Potassium,5.9,mmol/L,3.5-5.3,H,F,first tube",
        "2823-3,Potassium,4.2,mmol/L,3.5-5.3,,F,repeat",
    ]);
    check(&reading, Status::Mapped, &[]);
    let found = results(&reading);
    assert_eq!(found.iter().map(|it| it.value.as_sent()).collect::<Vec<_>>(), ["5.9", "4.2"]);
    assert_ne!(found[0].id, found[1].id);
}

#[test]
fn trap_13_and_14_a_correction_says_that_it_is_one_and_a_shorter_final_is_final() {
    let corrected = table(&["718-7,Haemoglobin,128,g/L,120-150,,C,"]);
    check(&corrected, Status::Mapped, &[]);
    assert_eq!(corrected.reports[0].status, ReportStatus::Corrected);
    let partial = table(&["718-7,Haemoglobin,128,g/L,120-150,,F,", "777-3,Platelets,,,,,P,"]);
    assert_eq!(partial.reports[0].status, ReportStatus::Partial);
    let shorter = table(&["718-7,Haemoglobin,128,g/L,120-150,,F,"]);
    assert_eq!(shorter.reports[0].status, ReportStatus::Final);
}

#[test]
fn trap_19_sex_is_read_where_it_is_known_and_told_where_not() {
    for (sent, sex, told) in [
        ("F", Some(Sex::Female), false),
        ("U", Some(Sex::Unknown), false),
        ("9", Some(Sex::Other), false),
        ("Q", None, true),
    ] {
        let row =
            format!("TRAP-1,,Snodgrass-Vane,Isolde,1985-07-31,{sent},PNL,718-7,Hb,131,g/L,120-150,,F,,");
        let reading = read("standard-csv", &format!("{HEADER}\n{row}\n"));
        check(&reading, Status::Mapped, &[]);
        assert_eq!(reading.reports[0].patient.sex, sex, "{sent}");
        assert_eq!(reading.diagnostics.iter().any(|it| it.code.as_str() == "T020"), told, "{sent}");
    }
}

#[test]
fn trap_20_and_21_the_birth_date_is_kept_to_the_day_and_nothing_says_pregnant() {
    let reading = table(&["718-7,Haemoglobin,131,g/L,120-150,,F,"]);
    let birth = reading.reports[0].patient.birth_date.as_ref().unwrap();
    assert_eq!(birth.expose().iso, "1985-07-31");
}

#[test]
fn trap_23_a_document_stands_beside_the_data_and_not_in_its_place() {
    let message =
        include_str!("../../mappings/labs/json-aggregator/examples/text-result-and-document/message.json");
    let reading = read("json-aggregator", message);
    check(&reading, Status::Mapped, &[]);
    assert_eq!((reading.reports[0].attachments.len(), results(&reading).len()), (1, 1));
}

#[test]
fn trap_28_a_haemolysed_comment_stays_with_the_value() {
    let reading = table(&["2823-3,Potassium,6.1,mmol/L,3.5-5.3,H,F,Sample haemolysed"]);
    check(&reading, Status::Mapped, &[]);
    let result = results(&reading)[0];
    assert_eq!((result.value.as_sent(), result.notes[0].text.as_str()), ("6.1", "Sample haemolysed"));
}

#[test]
fn trap_29_an_egfr_above_ninety_is_a_number_with_its_comparator() {
    let reading = table(&["33914-3,eGFR,>90,mL/min/1.73m2,,,F,"]);
    check(&reading, Status::Mapped, &[]);
    assert!(matches!(results(&reading)[0].value, Value::Quantity { comparator: Some(_), .. }));
}

#[test]
fn trap_30_the_laboratorys_flag_is_kept_whatever_the_range_says() {
    let reading = table(&["2823-3,Potassium,4.2,mmol/L,3.5-5.3,H,F,"]);
    check(&reading, Status::Mapped, &[]);
    assert_eq!(results(&reading)[0].flags[0].sent, "H");
}

#[test]
fn trap_34_a_barcode_that_a_spreadsheet_rounded_holds() {
    let row = "TRAP-1,,Snodgrass-Vane,Isolde,1985-07-31,F,PNL,718-7,Hb,131,g/L,120-150,,F,,1.23E+11";
    check(&read("standard-csv", &format!("{HEADER}\n{row}\n")), Status::Held, &["M139"]);
}

#[test]
fn trap_35_a_test_message_holds() {
    let message = include_str!("../../mappings/labs/standard-fhir/examples/test-message/message.json");
    check(&read("standard-fhir", message), Status::Held, &["M146"]);
}
