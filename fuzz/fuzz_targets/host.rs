#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| exequatur_fuzz::host::run(data));
