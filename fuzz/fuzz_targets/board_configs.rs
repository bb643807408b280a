#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pillarbox_fuzz::run_chosen(&pillarbox_fuzz::BOARD_CONFIGS, data));
