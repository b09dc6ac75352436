//! See `check_fhir_xml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_fhir_xml(data));
