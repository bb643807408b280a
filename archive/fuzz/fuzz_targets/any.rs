#![no_main]

// One program a target, by its name.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let name = env!("CARGO_BIN_NAME");
    let target = archive_fuzz::TARGETS.iter().find(|(target, _)| *target == name);
    target.expect("a target of that name").1(data);
});
