#![no_main]

// One program a target, by its name.
libfuzzer_sys::fuzz_target!(|data: &[u8]| board_configs::fuzzed::run(env!("CARGO_BIN_NAME"), data));
