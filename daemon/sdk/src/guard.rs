//! Keeps panics inside the library.
//!
//! A panic that crosses an `extern "C"` frame, or is caught by the runtime of another image, aborts
//! the whole daemon. So each entry point runs its work in [`catch`].

use std::any::Any;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use crate::exit::Exit;

thread_local! {
    /// The location of the latest panic of this thread. For `ManuallyDrop` see `host::HARNESS`.
    static PLACE: Cell<ManuallyDrop<Option<String>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// Runs `work`. A panic becomes [`Exit::Panic`] with its message and location.
///
/// A panic may leave values that `work` borrows half changed. Callers drop such values or never
/// touch them again, so asserting unwind safety is sound.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, Exit> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = message_of(payload.as_ref());
        let place = take_place();
        swallow(payload);
        Exit::Panic(match place {
            Some(place) => format!("{message}, {place}"),
            None => message,
        })
    })
}

/// Drops a value of the app. If its `Drop` panics, the panic is logged and goes no further.
pub(crate) fn discard<T>(value: T) {
    if let Err(exit) = catch(|| drop(value)) {
        log::error!("error while dropping a value: {exit}");
    }
}

/// Installs a panic hook that only records the location of the panic.
///
/// The standard hook would print to the daemon's stderr. With RUST_BACKTRACE set, it would also
/// parse the debug information of every loaded object into a cache of this library that is never
/// freed: about 35 MB for each version.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(note_place));
}

fn note_place(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    drop(ManuallyDrop::into_inner(PLACE.replace(ManuallyDrop::new(place))));
}

fn take_place() -> Option<String> {
    ManuallyDrop::into_inner(PLACE.replace(ManuallyDrop::new(None)))
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value without text".to_owned())
}

/// Drops the payload of a panic. If the drop panics again, the new payload is leaked, because the
/// error cannot be reported any more.
fn swallow(payload: Box<dyn Any + Send>) {
    if let Err(worse) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        take_place();
        std::mem::forget(worse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a drop that panics");
        }
    }

    #[track_caller]
    fn check(work: impl FnOnce(), expected: &str) {
        let exit = catch(work).expect_err("must panic");
        assert!(matches!(&exit, Exit::Panic(text) if text.starts_with(expected)), "{exit}");
    }

    #[test]
    fn a_panic_becomes_an_exit_reason() {
        check(|| panic!("literal"), "literal");
        check(|| panic!("number {}", 7), "number 7");
        check(|| std::panic::panic_any(7_u32), "a value without text");
        check(|| std::panic::panic_any(Bomb), "a value without text");
    }

    #[test]
    fn the_location_of_an_earlier_panic_is_not_used_again() {
        PLACE.set(ManuallyDrop::new(Some("x.rs:1:2".to_owned())));
        check(|| std::panic::resume_unwind(Box::new("first")), "first, x.rs:1:2");
        assert_eq!(
            catch(|| std::panic::resume_unwind(Box::new("second"))),
            Err::<(), _>(Exit::Panic("second".into()))
        );
    }

    #[test]
    fn a_drop_that_panics_is_swallowed() {
        discard(Bomb);
    }
}
