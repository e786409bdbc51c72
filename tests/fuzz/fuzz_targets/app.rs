#![no_main]

#[path = "../checks/app.rs"]
mod app;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    app::check(bytes);
});
