//! Every opened library is an image of its own.

use reld_runtime::{Event, From, Module, Outcome, Step};
use reld_wire::Pid;

use crate::fixture::{Bench, compile};

#[track_caller]
fn greeting(module: &dyn Module) -> String {
    let Step::Ready(Outcome { instance: Some(instance), .. }) = module.init(b"") else {
        panic!("no instance")
    };
    let from = From { caller: Pid::NONE, server: Pid::NONE, reference: 1 };
    let Step::Ready(outcome) = instance.callback(&Event::Call(from, b"greeting")) else { panic!("waits") };
    String::from_utf8(outcome.reply.unwrap()).unwrap()
}

#[test]
fn s87_a_file_replaced_under_the_same_path_loads_the_new_code() {
    let bench = Bench::new();
    let path = bench.build(&[r#"-DGREETING="old""#]);
    let old = bench.open(&path).unwrap();
    compile(&path, &["-Wl,--build-id", r#"-DGREETING="new""#]);
    let new = bench.open(&path).unwrap();
    assert_eq!(greeting(&*old.modules()[0]), "old");
    assert_eq!(greeting(&*new.modules()[0]), "new");
    assert_ne!(old.path(), new.path());
    assert_ne!(old.build_id(), new.build_id());
}

#[test]
fn s87_the_same_file_opened_twice_is_two_images_with_statics_of_their_own() {
    let bench = Bench::new();
    let path = bench.build(&[]);
    let (first, second) = (bench.open(&path).unwrap(), bench.open(&path).unwrap());
    assert_ne!(first.path(), second.path());
    drop(first.modules()[0].import(b"1").unwrap());
    let dropped = |module: &dyn Module| {
        let instance = module.import(b"1").unwrap();
        let from = From { caller: Pid::NONE, server: Pid::NONE, reference: 1 };
        let Step::Ready(outcome) = instance.callback(&Event::Call(from, b"dropped states")) else {
            panic!("waits")
        };
        outcome.reply.clone().unwrap()
    };
    assert_eq!(dropped(&*first.modules()[0]), b"1");
    assert_eq!(dropped(&*second.modules()[0]), b"0");
}
