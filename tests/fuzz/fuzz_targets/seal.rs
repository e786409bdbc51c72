#![no_main]

#[path = "../checks/seal.rs"]
mod seal;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    seal::check(bytes);
});
