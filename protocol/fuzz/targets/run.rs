#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fenbu_fuzz::run(data));
