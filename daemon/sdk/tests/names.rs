//! An app with names that `export_app!` might use itself.
#![expect(unsafe_code, reason = "the table is called as the daemon calls it")]

use std::sync::atomic::{AtomicBool, Ordering};

use reld_abi::App;
use reld_sdk::{Exit, Task};

const APP: &str = "names";
const MODULES: &str = "1.0.0";
static ALLOCATOR: AtomicBool = AtomicBool::new(false);

/// A task that ends at once.
struct ReldModule;

/// Another task.
#[expect(clippy::upper_case_acronyms, reason = "the table of an app could be called so")]
struct TABLE;

macro_rules! task {
    ($name:ident) => {
        impl Task for $name {
            type Args = ();

            async fn run((): ()) -> Result<(), Exit> {
                Ok(())
            }
        }
    };
}

task!(ReldModule);
task!(TABLE);

fn unload() {
    ALLOCATOR.store(true, Ordering::Relaxed);
}

reld_sdk::export_app! {
    app: APP,
    version: MODULES,
    modules: {
        unload: task ReldModule,
        load: task TABLE,
    },
    unload: unload,
}

unsafe extern "C" {
    fn reld_app_v1() -> *const App;
}

#[test]
fn an_app_may_have_a_function_named_unload_and_names_of_any_other_kind() {
    // SAFETY: this binary defines it by `export_app!`; it takes nothing and always returns.
    let app = unsafe { reld_app_v1() };
    // SAFETY: it returned a static.
    let App { module_count, unload, .. } = unsafe { &*app };
    // SAFETY: it is called once, after all else.
    unsafe { unload.expect("the SDK fills it")() };
    assert_eq!((*module_count, ALLOCATOR.load(Ordering::Relaxed)), (2, true));
}
