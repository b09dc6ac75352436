//! The messages all benchmarks run on: conformant ORU^R01 of version 2.5.1, with an invented patient.

/// LOINC code, name, value, UCUM unit, range: one OBX each, used again from the start beyond the last.
const RESULTS: [[&str; 5]; 30] = [
    ["718-7", "Haemoglobin", "141", "g/L", "130-170"],
    ["789-8", "Red cell count", "4.81", "10*12/L", "4.50-5.50"],
    ["4544-3", "Haematocrit", "0.423", "L/L", "0.400-0.500"],
    ["787-2", "Mean cell volume", "88.0", "fL", "83.0-101.0"],
    ["785-6", "Mean cell haemoglobin", "29.3", "pg", "27.0-32.0"],
    ["6690-2", "White cell count", "6.20", "10*9/L", "4.00-10.00"],
    ["751-8", "Neutrophils", "3.41", "10*9/L", "2.00-7.00"],
    ["731-0", "Lymphocytes", "1.95", "10*9/L", "1.00-3.00"],
    ["742-7", "Monocytes", "0.52", "10*9/L", "0.20-1.00"],
    ["711-2", "Eosinophils", "0.28", "10*9/L", "0.02-0.50"],
    ["704-7", "Basophils", "0.04", "10*9/L", "0.02-0.10"],
    ["777-3", "Platelets", "251", "10*9/L", "150-410"],
    ["2951-2", "Sodium", "140", "mmol/L", "133-146"],
    ["2823-3", "Potassium", "5.10", "mmol/L", "3.50-5.30"],
    ["22664-7", "Urea", "5.6", "mmol/L", "2.5-7.8"],
    ["14682-9", "Creatinine", "81", "umol/L", "59-104"],
    ["2000-8", "Calcium", "2.36", "mmol/L", "2.20-2.60"],
    ["14879-1", "Phosphate", "1.08", "mmol/L", "0.80-1.50"],
    ["1751-7", "Albumin", "43", "g/L", "35-50"],
    ["2885-2", "Total protein", "71", "g/L", "60-80"],
    ["14631-6", "Bilirubin", "9", "umol/L", "0-21"],
    ["1742-6", "Alanine aminotransferase", "27", "U/L", "0-41"],
    ["6768-6", "Alkaline phosphatase", "74", "U/L", "30-130"],
    ["2324-2", "Gamma-glutamyl transferase", "31", "U/L", "0-60"],
    ["14647-2", "Cholesterol", "5.4", "mmol/L", "0.0-5.0"],
    ["14646-4", "HDL cholesterol", "1.42", "mmol/L", "1.00-3.00"],
    ["14927-8", "Triglycerides", "1.31", "mmol/L", "0.00-1.70"],
    ["2276-4", "Ferritin", "96", "ug/L", "30-400"],
    ["3016-3", "Thyrotropin", "2.13", "m[IU]/L", "0.27-4.20"],
    ["14920-3", "Free thyroxine", "15.8", "pmol/L", "12.0-22.0"],
];

/// One message of `results` results; its control id and filler number are its own.
///
/// As full as such messages are in practice: local codes beside LOINC, method, laboratory and times on each result, a
/// comment after every seventh; about 1.6 kB for 5 results, 5.6 kB for 30.
pub(crate) fn oru(control_id: &str, filler_number: &str, results: usize) -> Vec<u8> {
    let mut message = format!(
        "MSH|^~\\&|BENCH|GENERATOR|GATEWAY|CLINIC|20260302101500+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||Q7731^^^BENCH^MR||Quillfeather^Ottoline^^^Ms^^L||19710423|F|||1 Invented Row^^Nowhere^^ZZ99 9ZZ^GBR^H\
         ||^PRN^PH^^^01632^960017\r\
         PV1|1|O|CLINIC^ROOM^1||||ZZ0001^Thistlewood^Peregrine^^^Dr\r\
         ORC|RE|P{filler_number}^CLINIC|{filler_number}^BENCH||CM\r\
         OBR|1|P{filler_number}^CLINIC|{filler_number}^BENCH|58410-2^Full profile^LN^FP^Full profile^L|||\
         20260302080000+0000||||||routine check|||||||||20260302100000+0000||LAB|F\r"
    );
    for (number, [code, name, value, unit, range]) in (1..=results).zip(RESULTS.iter().cycle()) {
        let line = format!(
            "OBX|{number}|NM|{code}^{name}^LN^L{number}^{name}^L||{value}|{unit}^{unit}^UCUM|{range}|N|||F|||\
             20260302080000+0000|BENCH^Bench Laboratory^L||AUTO^Automated analyser^L||20260302093000+0000\r"
        );
        message.push_str(&line);
        if number % 7 == 0 {
            message.push_str("NTE|1|L|Repeated on a second analyser and confirmed.\r");
        }
    }
    message.push_str(
        "SPM|1|^S1&BENCH||119297000^Blood specimen^SCT|||||||||||||20260302080000+0000|20260302090000+0000\r",
    );
    message.into_bytes()
}
