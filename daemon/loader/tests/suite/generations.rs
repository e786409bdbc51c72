//! One library per generation, and what stays of it.

use reld_runtime::{Event, From, Module, Outcome, Pid, Step};

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

#[test]
fn s86_a_library_is_in_use_until_its_last_state_is_gone_and_is_listed_afterwards() {
    let bench = Bench::new();
    let library = bench.echo();
    let path = library.path();
    let state = library.modules()[0].import(b"1").unwrap();
    drop(library);
    check_residents(&bench, true, "in use");
    assert!(path.exists(), "a state still needs the library");
    drop(state);
    check_residents(&bench, false, "interposition");
    assert!(!path.exists(), "nobody needs the file of a purged library");
}

#[track_caller]
fn check_residents(bench: &Bench, in_use: bool, reason: &str) {
    let residents = bench.loader.residents();
    let [resident] = residents.as_slice() else { panic!("one library is mapped: {residents:?}") };
    assert_eq!(
        (resident.app.as_str(), resident.version.as_str(), resident.in_use),
        ("echo", "0.1.0", in_use)
    );
    assert!(resident.reason.contains(reason), "{resident:?}");
    assert!(resident.bytes.unwrap() > 4096, "{resident:?}");
}
