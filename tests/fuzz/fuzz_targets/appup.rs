#![no_main]

#[path = "../checks/appup.rs"]
mod appup;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    appup::check(bytes);
});
