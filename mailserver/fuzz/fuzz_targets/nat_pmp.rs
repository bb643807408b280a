#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pillarbox_mailserver_fuzz::nat_pmp::run(data));
