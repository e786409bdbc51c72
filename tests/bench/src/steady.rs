//! Measures the cost of replaceable code for a callback. The loader's benchmark `steady` takes the
//! samples.

use std::fs;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use reld_tests::{Run, folder, release};
use serde_json::{Value, json};

use crate::call::PAYLOADS;
use crate::line;

const LIBRARY: &str = "lib/driver-1.0.0/driver.so";

/// The ways to call the callback, in the order of the samples.
const VIA: [&str; 3] = ["typed", "static", "library"];

pub(crate) fn run(reps: usize) {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let library = place.path().join("driver.so");
    unpack(Path::new(&release("bench-1.0.0")), &library);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder("")).args(["bench", "--package", "reld-loader", "--bench", "steady", "--"]);
    let samples = Run::of(cargo.arg(&library).arg(reps.to_string())).expect(0).json();
    PAYLOADS.iter().for_each(|payload| print(payload, &samples[payload]));
}

/// Prints the time of a callback, and the slowdown of a library's callback over a linked one.
fn print(payload: &str, rounds: &Value) {
    let rounds: Vec<[f64; 3]> = serde_json::from_value(rounds.clone()).expect("each round has three times");
    for (at, via) in VIA.iter().enumerate() {
        let parameters = json!({"payload": payload, "via": via});
        line::print("steady_callback", &parameters, "ns", rounds.iter().map(|round| round[at]).collect());
    }
    let costs = rounds.iter().map(|[_, linked, loaded]| (loaded / linked - 1.0) * 100.0).collect();
    line::print("steady_cost", &json!({"payload": payload}), "%", costs);
}

fn unpack(tarball: &Path, library: &Path) {
    let file = fs::File::open(tarball).expect("the release was packed");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().expect("a tarball has entries");
    let mut entry = entries
        .map(|entry| entry.expect("the tarball is whole"))
        .find(|entry| entry.path().is_ok_and(|path| path == Path::new(LIBRARY)))
        .expect("the release has the driver");
    entry.unpack(library).expect("a temporary folder can be written");
}
