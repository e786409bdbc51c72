//! The functions and variables of the system's libraries that keep addresses of a library, as data.
//!
//! Such a function keeps an address that a library passes to it, and calls or reads it later. All
//! kept addresses must be known before the library is unmapped. Each function of glibc and
//! libstdc++ is in one of these classes:
//!
//! | class | how the kept addresses are known | where |
//! |---|---|---|
//! | variable | the daemon reads the variable | [`VARIABLES`], `evidence.rs` |
//! | interposed | the daemon replaces the function: signal handlers, thread-locals | `interpose.rs` |
//! | listed | they cannot be looked up: a library that imports the function stays mapped | [`KEEPERS`] |
//! | removed | `__cxa_finalize` removes them: `atexit`, `at_quick_exit`, `pthread_atfork`, static objects of C++ | |
//! | exempt | the function keeps no address after the call, or keeps copies | |
//!
//! `dlsym`, `syscall` and `mmap` are exempt although they can be used to keep an address, since
//! every Rust library imports them. Most libraries import `environ` and `setenv` as well; these are
//! in the class of variables.

/// A function of the system's libraries that keeps addresses that the daemon cannot look up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Keeper {
    /// The names under which libraries import the function.
    symbols: &'static [&'static str],
    /// The name of the function in source code, if it differs.
    name: Option<&'static str>,
    /// The kept address, as text for display.
    why: &'static str,
}

const fn c(symbols: &'static [&'static str], why: &'static str) -> Keeper {
    Keeper { symbols, name: None, why }
}

const fn cpp(name: &'static str, symbols: &'static [&'static str], why: &'static str) -> Keeper {
    Keeper { symbols, name: Some(name), why }
}

/// The functions of this kind. A library that imports one of them stays mapped.
pub(crate) const KEEPERS: &[Keeper] = &[
    // libc: values of the process
    c(&["putenv"], "the environment keeps the string"),
    c(&["openlog"], "syslog keeps the name"),
    c(&["addseverity"], "fmtmsg keeps the text"),
    c(&["hsearch"], "the hash table keeps the keys"),
    c(&["initstate"], "random keeps the state"),
    c(&["setstate"], "random keeps the state"),
    c(
        &["getopt", "getopt_long", "getopt_long_only", "__posix_getopt"],
        "getopt keeps its place in the arguments",
    ),
    // libc: functions that it calls later
    c(&["on_exit"], "the function is called when the daemon ends"),
    c(&["pthread_atfork"], "the functions are called at each fork"),
    c(&["tss_create"], "the function is called when a thread ends"),
    c(
        &[
            "register_printf_function",
            "register_printf_specifier",
            "register_printf_modifier",
            "register_printf_type",
        ],
        "printf keeps the functions",
    ),
    c(&["mcheck", "mcheck_pedantic"], "malloc keeps the function"),
    c(&["svc_register", "registerrpc", "xprt_register"], "RPC keeps the functions"),
    c(&["res_send_setqhook", "res_send_setrhook"], "the resolver keeps the function"),
    // libc: streams
    c(&["setvbuf", "setbuf", "setbuffer", "_IO_setvbuf", "_IO_setbuffer"], "a stream keeps the buffer"),
    c(&["fopencookie"], "a stream keeps the functions"),
    c(&["fmemopen"], "a stream keeps the buffer"),
    c(&["open_memstream", "open_wmemstream"], "a stream keeps the place of its buffer"),
    // libc: threads that libc starts for the library, or that are not counted
    c(&["timer_create"], "a timer may start threads in the library"),
    c(&["mq_notify"], "a message queue may start threads in the library"),
    c(
        &[
            "aio_read",
            "aio_read64",
            "aio_write",
            "aio_write64",
            "aio_fsync",
            "aio_fsync64",
            "lio_listio",
            "lio_listio64",
        ],
        "threads of libc work for the library, and may call it",
    ),
    c(&["getaddrinfo_a"], "threads of libc work for the library, and may call it"),
    c(&["thrd_create"], "its threads are not counted"),
    c(&["clone", "__clone"], "its threads are not counted"),
    c(&["sigstack"], "a thread keeps the stack"),
    c(&["sigvec"], "the next handler of the signal may call the one before it"),
    c(
        &["pthread_mutexattr_setrobust", "pthread_mutexattr_setrobust_np"],
        "a thread keeps a list of the robust mutexes that it holds",
    ),
    // libc and the kernel: memory that they write to
    c(&["profil", "sprofil", "monstartup", "__monstartup"], "the profile is written into the library"),
    // other libraries
    c(&["dlopen", "dlmopen"], "the daemon cannot know which addresses the opened library keeps"),
    c(
        &[
            "__register_frame",
            "__register_frame_table",
            "__register_frame_info",
            "__register_frame_info_bases",
            "__register_frame_info_table",
            "__register_frame_info_table_bases",
        ],
        "the unwinder keeps the tables",
    ),
    // libstdc++
    cpp(
        "std::thread",
        &[
            "_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE",
            "_ZNSt6thread15_M_start_threadESt10shared_ptrINS_10_Impl_baseEEPFvvE",
            "_ZNSt6thread15_M_start_threadESt10shared_ptrINS_10_Impl_baseEE",
        ],
        "libstdc++ starts its threads, which are not counted",
    ),
    cpp(
        "std::notify_all_at_thread_exit",
        &["_ZSt25notify_all_at_thread_exitRSt18condition_variableSt11unique_lockISt5mutexE"],
        "the condition is notified when a thread ends",
    ),
    cpp(
        "std::promise::set_value_at_thread_exit",
        &["_ZNSt13__future_base13_State_baseV211_Make_ready6_M_setEv"],
        "the promise is kept when a thread ends",
    ),
    cpp("std::set_terminate", &["_ZSt13set_terminatePFvvE"], "libstdc++ keeps the function"),
    cpp("std::set_unexpected", &["_ZSt14set_unexpectedPFvvE"], "libstdc++ keeps the function"),
    cpp("std::set_new_handler", &["_ZSt15set_new_handlerPFvvE"], "libstdc++ keeps the function"),
    cpp(
        "std::pmr::set_default_resource",
        &["_ZNSt3pmr20set_default_resourceEPNS_15memory_resourceE"],
        "libstdc++ keeps the resource",
    ),
    cpp("std::locale::global", &["_ZNSt6locale6globalERKS_"], "libstdc++ keeps the locale"),
    cpp(
        "std::locale with a facet of its own",
        &["_ZNSt6locale5_Impl16_M_install_facetEPKNS_2idEPKNS_5facetE"],
        "a stream may keep the facet",
    ),
    cpp(
        "std::basic_ios::rdbuf",
        &[
            "_ZNSt9basic_iosIcSt11char_traitsIcEE5rdbufEPSt15basic_streambufIcS1_E",
            "_ZNSt9basic_iosIcSt11char_traitsIcEE9set_rdbufEPSt15basic_streambufIcS1_E",
            "_ZNSt9basic_iosIwSt11char_traitsIwEE5rdbufEPSt15basic_streambufIwS1_E",
            "_ZNSt9basic_iosIwSt11char_traitsIwEE9set_rdbufEPSt15basic_streambufIwS1_E",
        ],
        "a stream keeps the buffer",
    ),
    cpp(
        "std::ios_base::register_callback",
        &["_ZNSt8ios_base17register_callbackEPFvNS_5eventERS_iEi"],
        "a stream keeps the function",
    ),
    cpp(
        "std::ios_base::sync_with_stdio",
        &["_ZNSt8ios_base15sync_with_stdioEb"],
        "a standard stream may keep a buffer of the library",
    ),
];

/// A variable of the system's libraries to which any library may write.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) symbol: &'static str,
    /// The number of its words that may contain addresses.
    pub(crate) words: u64,
    /// The name of the variable in source code.
    pub(crate) name: &'static str,
}

const fn variable(symbol: &'static str, words: u64) -> Variable {
    Variable { symbol, words, name: symbol }
}

/// The number of words of a `FILE`.
const FILE: u64 = 28;
/// The numbers of words of a `std::ostream` and of a `std::istream`.
const OSTREAM: u64 = 34;
const ISTREAM: u64 = 35;

const fn stream(symbol: &'static str, words: u64, name: &'static str) -> Variable {
    Variable { symbol, words, name }
}

/// A library stays mapped as long as one of these variables, or an entry of `environ`, points into
/// it.
pub(crate) const VARIABLES: &[Variable] = &[
    variable("environ", 1),
    variable("stdin", 1),
    variable("stdout", 1),
    variable("stderr", 1),
    stream("_IO_2_1_stdin_", FILE, "stdin"),
    stream("_IO_2_1_stdout_", FILE, "stdout"),
    stream("_IO_2_1_stderr_", FILE, "stderr"),
    variable("_IO_list_all", 1),
    variable("program_invocation_name", 1),
    variable("program_invocation_short_name", 1),
    variable("error_print_progname", 1),
    variable("obstack_alloc_failed_handler", 1),
    variable("argp_program_version_hook", 1),
    variable("argp_program_version", 1),
    variable("argp_program_bug_address", 1),
    variable("optarg", 1),
    variable("tzname", 2),
    // These variables exist only before glibc 2.34.
    variable("__malloc_hook", 1),
    variable("__realloc_hook", 1),
    variable("__memalign_hook", 1),
    variable("__free_hook", 1),
    variable("__after_morecore_hook", 1),
    variable("__morecore", 1),
    stream("_ZSt3cin", ISTREAM, "std::cin"),
    stream("_ZSt4cout", OSTREAM, "std::cout"),
    stream("_ZSt4cerr", OSTREAM, "std::cerr"),
    stream("_ZSt4clog", OSTREAM, "std::clog"),
    stream("_ZSt4wcin", ISTREAM, "std::wcin"),
    stream("_ZSt5wcout", OSTREAM, "std::wcout"),
    stream("_ZSt5wcerr", OSTREAM, "std::wcerr"),
    stream("_ZSt5wclog", OSTREAM, "std::wclog"),
];

/// Returns the reason why a library that imports these names stays mapped, or `None` if it can be
/// unmapped.
pub(crate) fn keepers<'a>(imports: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let reason = |symbol: &str| {
        let keeper = KEEPERS.iter().find(|keeper| keeper.symbols.contains(&symbol))?;
        Some(format!("{} ({})", keeper.name.unwrap_or(symbol), keeper.why))
    };
    let mut reasons: Vec<String> = imports.into_iter().filter_map(reason).collect();
    reasons.sort();
    reasons.dedup();
    if reasons.is_empty() { None } else { Some(format!("imports {}", reasons.join(", "))) }
}

#[cfg(test)]
mod tests {
    use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};

    use super::*;

    /// Symbols that are imported only by libraries that were built on an older system.
    const OLDER: [&str; 8] = [
        "sigvec",
        "pthread_atfork",
        "pthread_mutexattr_setrobust_np",
        "svc_register",
        "registerrpc",
        "xprt_register",
        "res_send_setqhook",
        "res_send_setrhook",
    ];

    /// Returns whether only older versions of glibc or libstdc++ define the symbol.
    fn is_older(symbol: &str) -> bool {
        OLDER.contains(&symbol) || symbol.ends_with("_hook") || symbol == "__morecore"
    }

    #[test]
    fn each_name_is_one_of_the_systems_libraries() {
        let open = |name| {
            // SAFETY: it is a library of the system.
            unsafe { Library::open(Some(name), RTLD_LAZY | RTLD_LOCAL) }
                .expect("the test suite needs it as well")
        };
        let libraries = ["libc.so.6", "libgcc_s.so.1", "libstdc++.so.6"].map(open);
        // SAFETY: the address is not used.
        let is_in = |library: &Library, name: &str| unsafe { library.get::<*const ()>(name) }.is_ok();
        let kept = KEEPERS.iter().flat_map(|keeper| keeper.symbols);
        let named = kept.copied().chain(VARIABLES.iter().map(|variable| variable.symbol));
        let unknown: Vec<&str> = named
            .filter(|name| !is_older(name) && !libraries.iter().any(|library| is_in(library, name)))
            .collect();
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn the_reason_has_the_name_of_the_function_in_source_code() {
        assert_eq!(keepers(["puts", "dlsym", "environ", "sigaction"]), None);
        let reason = "imports putenv (the environment keeps the string), \
                    std::set_terminate (libstdc++ keeps the function)";
        assert_eq!(keepers(["_ZSt13set_terminatePFvvE", "puts", "putenv"]).as_deref(), Some(reason));
    }
}
