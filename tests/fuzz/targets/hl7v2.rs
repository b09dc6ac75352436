//! See `check_hl7v2`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_hl7v2(data));
