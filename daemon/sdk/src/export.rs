//! The tables of a library, and the macro that exports them.

use reld_abi::{ABI_MAJOR, ABI_MINOR, FLAG_PANIC_UNWIND, Host, MAGIC, Status};
pub use reld_abi::{App, Module};

pub use crate::alloc::DaemonAllocator;
use crate::application::{self, Application};
use crate::behaviour::{Behaviour, Stateful};
use crate::bytes::lend;
use crate::daemon;
use crate::ffi;
pub use crate::ffi::Named;
use crate::gen_event::{self, EventHandler, GenEvent};
use crate::gen_server::{self, GenServer};
use crate::gen_statem::{self, GenStatem};
use crate::guard;
use crate::logger;
use crate::supervisor::{self, Supervisor};
use crate::task::{self, Task};
use crate::usage;

/// The name of the program that built the library, for display.
const BUILT_BY: &str = concat!("reld-sdk ", env!("CARGO_PKG_VERSION"), ", ", env!("RELD_SDK_RUSTC"));

/// Exports an app: use it once, in the root of a `cdylib` crate.
///
/// `version` is the app's semantic version, which appups refer to. Each module has the form
/// `name: behaviour Type`; the names are unique in a release. A behaviour is `gen_server`,
/// `gen_statem`, `gen_event`, `event_handler`, `supervisor`, `application` or `task`.
///
/// `unload: function`, after the modules, names a `fn()`. The node calls it once, when the node no
/// longer refers to the library, before the library leaves the address space. Use it to end and
/// join threads that the library has started itself. An app with such threads sets `threads = true`
/// in its `app.toml`; otherwise it is not replaced while one of them runs.
///
/// The macro also makes the daemon's allocator the crate's global allocator, so the crate cannot
/// have another. It works in crates that `#![forbid(unsafe_code)]`.
///
/// See the [crate's documentation](crate) for a complete app.
#[macro_export]
macro_rules! export_app {
    (
        app: $app:expr,
        version: $version:expr,
        modules: { $($module:ident : $behaviour:ident $callback:ty),+ $(,)? }
        $(, unload: $unload:path)? $(,)?
    ) => {
        // Names of the app are resolved in the same scope, so no name of this macro may be one that
        // an app can have.
        const _: () = {
            static __RELD_MODULES: &[&$crate::export::Module] = &[$({
                struct __ReldModule;
                impl $crate::export::Named for __ReldModule {
                    const NAME: &'static str = stringify!($module);
                    const VERSION: &'static str = $version;
                }
                static __RELD_TABLE: $crate::export::Module =
                    $crate::export::$behaviour::<__ReldModule, $callback>();
                &__RELD_TABLE
            }),+];

            static __RELD_APP: $crate::export::App =
                $crate::export::app($app, $version, &[$(stringify!($module)),+], __RELD_MODULES, __reld_unload);

            extern "C" fn __reld_unload() {
                $crate::export::unload(&[$($unload)?]);
            }

            #[global_allocator]
            static __RELD_ALLOCATOR: $crate::export::DaemonAllocator = $crate::export::DaemonAllocator;

            #[unsafe(no_mangle)]
            extern "C" fn reld_app_v1() -> *const $crate::export::App {
                &raw const __RELD_APP
            }
        };
    };
}

/// Builds the magic block of a library. Fails to compile if two modules have the same name.
pub const fn app(
    name: &'static str,
    version: &'static str,
    names: &[&str],
    modules: &'static [&'static Module],
    unload: extern "C" fn(),
) -> App {
    assert!(are_unique(names), "two modules have the same name");
    App {
        magic: MAGIC,
        size: size_of::<App>() as u32,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        flags: if cfg!(panic = "unwind") { FLAG_PANIC_UNWIND } else { 0 },
        name: lend(name.as_bytes()),
        vsn: lend(version.as_bytes()),
        built_by: lend(BUILT_BY.as_bytes()),
        modules: modules.as_ptr().cast(),
        module_count: modules.len(),
        load: Some(load),
        unload: Some(unload),
        usage: usage::parts().as_ptr(),
        usage_count: usage::parts().len(),
    }
}

/// Builds the table of a gen_server.
pub const fn gen_server<N: Named, S: GenServer>() -> Module {
    stateful::<N, gen_server::Server<S>>()
}

/// Builds the table of a state machine.
pub const fn gen_statem<N: Named, M: GenStatem>() -> Module {
    stateful::<N, gen_statem::Statem<M>>()
}

/// Builds the table of an event manager.
pub const fn gen_event<N: Named, M: GenEvent>() -> Module {
    stateful::<N, gen_event::Manager<M>>()
}

/// Builds the table of an event handler.
pub const fn event_handler<N: Named, H: EventHandler>() -> Module {
    stateful::<N, gen_event::Handler<H>>()
}

/// Builds the table of a supervisor.
pub const fn supervisor<N: Named, S: Supervisor>() -> Module {
    stateless::<N, supervisor::Tree<S>>()
}

/// Builds the table of an application.
pub const fn application<N: Named, A: Application>() -> Module {
    stateful::<N, application::App<A>>()
}

/// Builds the table of a task.
pub const fn task<N: Named, T: Task>() -> Module {
    stateless::<N, task::Run<T>>()
}

const fn stateful<N: Named, B: Stateful>() -> Module {
    Module {
        export_state: Some(ffi::export_state::<B, N>),
        import_state: Some(ffi::import_state::<B, N>),
        change_code: Some(ffi::change_code::<B, N>),
        change_code_down: Some(ffi::change_code_down::<B, N>),
        drop_state: Some(ffi::drop_state::<B>),
        callback_many: Some(ffi::callback_many::<B, N>),
        ..stateless::<N, B>()
    }
}

const fn stateless<N: Named, B: Behaviour>() -> Module {
    Module {
        size: size_of::<Module>() as u32,
        behaviour: B::BEHAVIOUR,
        name: lend(N::NAME.as_bytes()),
        callback: Some(ffi::callback::<B, N>),
        export_state: None,
        import_state: None,
        change_code: None,
        change_code_down: None,
        accepts: Some(ffi::accepts::<B, N>),
        drop_state: None,
        schema: Some(ffi::schema::<B, N>),
        format_status: if B::FORMAT_STATUS.is_some() { Some(ffi::format_status::<B, N>) } else { None },
        callback_many: None,
    }
}

/// `App::load`.
#[expect(unsafe_code, reason = "the daemon hands its table over")]
unsafe extern "C" fn load(host: *const Host) -> Status {
    let loaded = guard::catch(|| {
        // SAFETY: the daemon's promise: null or a table that stays.
        let fits = unsafe { daemon::load(host) };
        if fits {
            guard::install_hook();
            logger::install();
        }
        fits
    });
    if loaded == Ok(true) { reld_abi::OK } else { reld_abi::FAILED }
}

/// Runs `App::unload`: the app's own function, if it has one, and then the SDK's cleanup.
pub fn unload(own: &[fn()]) {
    for unload in own {
        if let Err(exit) = guard::catch(unload) {
            log::error!("error while unloading the library: {exit}");
        }
    }
    ffi::hand_over_output();
}

const fn are_unique(names: &[&str]) -> bool {
    let mut i = 0;
    while i < names.len() {
        let mut j = i + 1;
        while j < names.len() {
            if are_equal(names[i].as_bytes(), names[j].as_bytes()) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

const fn are_equal(left: &[u8], right: &[u8]) -> bool {
    let mut i = 0;
    while i < left.len() && i < right.len() && left[i] == right[i] {
        i += 1;
    }
    i == left.len() && i == right.len()
}
