#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| exequatur_fuzz::check_request::run(data));
