#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pillarbox_mailserver_fuzz::igd::run(data));
