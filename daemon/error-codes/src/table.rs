//! The table of all codes.

/// Declares the codes. A row is `/// summary`, `Variant = "word"`, and `in "page"` if the code
/// shares the page of another one.
macro_rules! codes {
    ($(#[doc = $summary:literal] $variant:ident = $word:literal $(in $page:literal)?,)*) => {
        /// The code of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $summary] $variant,)*
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the word: the `kind` of an error and the `class` of an obstacle.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Returns the meaning in one sentence.
            pub const fn summary(self) -> &'static str {
                match self {
                    $(Self::$variant => $summary.trim_ascii(),)*
                }
            }

            /// Returns the page: the meaning in full, the cause, the remedy, an example and the
            /// source of the rule, in Markdown.
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => page!($word $($page)?),)*
                }
            }
        }
    };
}

macro_rules! page {
    ($word:literal) => {
        include_str!(concat!("../pages/", $word, ".md"))
    };
    ($word:literal $page:literal) => {
        include_str!(concat!("../pages/", $page, ".md"))
    };
}

codes! {
    // Releases on a node.
    /// The node does not have the release.
    NoSuchRelease = "no_such_release",
    /// The node has a release of this version already.
    ExistingRelease = "existing_release",
    /// The release runs already.
    AlreadyInstalled = "already_installed",
    /// The status of the release does not allow the order.
    BadStatus = "bad_status",
    /// The node boots the release.
    Permanent = "permanent" in "current",
    /// The release runs.
    Current = "current",
    /// The running release is not committed.
    Unconfirmed = "unconfirmed",
    /// The node knows no release to go back to.
    NoPrevious = "no_previous",
    /// The release has another name than the running one.
    OtherRelease = "other_release",
    /// Files of the release on disk are missing or changed.
    Damaged = "damaged",
    /// The documents of the release on disk cannot be used.
    Files = "files",
    /// The text is not a version.
    BadVersion = "bad_version" in "bad_request",
    /// The release was removed, but some of its files were not.
    Leftover = "leftover",

    // Tarballs.
    /// The tarball is incomplete, damaged or not one of a release.
    BadTarball = "bad_tarball",
    /// The tarball was not received completely.
    UploadFailed = "upload_failed",
    /// The tarball could not be fetched from its URL.
    DownloadFailed = "download_failed",
    /// The release has another identity than the expected one.
    OtherIdentity = "other_identity",
    /// The node has the version with other content.
    OtherContent = "other_content",
    /// The libraries were built for another machine.
    OtherTarget = "other_target",
    /// The libraries use a version of the ABI that the daemon does not support.
    OtherAbi = "other_abi",
    /// The tarball needs a newer daemon.
    NeedsReld = "needs_reld",
    /// The tarball leaves out files that the node lacks.
    LeftOut = "left_out",

    // Signatures.
    /// The signatures of the release do not satisfy the policy of the node.
    Untrusted = "untrusted",
    /// The node has committed a later release of this name.
    OlderThanFloor = "older_than_floor",
    /// Code by hand has no signature, but the node requires signatures.
    Unsigned = "unsigned",
    /// The policy of signatures cannot be read.
    BadPolicy = "bad_policy",
    /// A file is no key of minisign, or it cannot be used.
    BadKey = "bad_key",

    // Orders.
    /// Another order is under way, or a release settles.
    Busy = "busy",
    /// The node runs no release.
    Idle = "idle",
    /// The node stops and accepts no orders.
    Stopping = "stopping",
    /// The upgrade had ended before it was aborted.
    TooLate = "too_late" in "nothing_under_way",
    /// A boot cannot be aborted.
    Boots = "boots" in "nothing_under_way",
    /// No upgrade is under way.
    NothingUnderWay = "nothing_under_way",
    /// The history has no such entry.
    NoSuchEntry = "no_such_entry",
    /// The lock server has not given the node the lock.
    LockedOut = "locked_out",
    /// The disk or the machine is too full.
    NoRoom = "no_room",
    /// The operating system refused an operation.
    Io = "io",
    /// The probe cannot be run.
    Probe = "probe",

    // Rollouts over several nodes.
    /// A rollout has ended before all nodes had the release.
    Halted = "halted",
    /// Another rollout runs over these nodes.
    RollingOut = "rolling_out",
    /// A host of a rollout does not answer as a node does.
    Unreachable = "unreachable",
    /// The daemon has joined no fleet.
    NoFleet = "no_fleet",
    /// The daemon cannot use the etcd of its fleet.
    NoEtcd = "no_etcd",
    /// The fleet has no rollout that can be changed in this way.
    NoRollout = "no_rollout",
    /// The fleet has no such node, or cannot do without it.
    NoSuchNode = "no_such_node",

    // Failed upgrades.
    /// The upgrade failed before the switch, and was undone.
    RolledBack = "rolled_back",
    /// The upgrade failed after the switch, and a downgrade took it back.
    TakenBack = "taken_back",
    /// The upgrade failed after the switch, and could not be taken back.
    NotTakenBack = "not_taken_back",
    /// The release runs but could not be made permanent.
    NotCommitted = "not_committed",
    /// The node must restart, because a rollback was incomplete.
    NeedsRestart = "needs_restart",
    /// Processes did not come to rest in time.
    NotAtRest = "not_at_rest",
    /// New code could not convert a state.
    ChangeCode = "change_code",
    /// The conversion of a state did not return in time.
    ChangeCodeTimedOut = "change_code_timed_out" in "change_code",
    /// Processes at rest were not converted.
    Unconverted = "unconverted",
    /// No thread was free to convert states.
    Starved = "starved",
    /// The nodes of a meeting did not switch together.
    NotMet = "not_met",
    /// The node went back without the decision of a meeting, and the others may have switched.
    InDoubt = "in_doubt" in "not_met",
    /// A call of the script failed.
    Apply = "apply",
    /// Processes crashed during the upgrade.
    Crashed = "crashed",
    /// The upgrade was aborted, or the daemon was stopped.
    Interrupted = "interrupted",
    /// There is a bug in reld.
    Bug = "bug",

    // Obstacles that the check of an upgrade finds on the node.
    /// A library cannot be loaded.
    Library = "library",
    /// An app cannot be started as its documents require.
    Application = "application",
    /// The library to be replaced has started threads that still run.
    Threads = "threads",
    /// The upgrade may need a way back, and there is none.
    NoWayBack = "no_way_back",
    /// This version of reld does not carry out an instruction.
    Unsupported = "unsupported",
    /// The script restarts the daemon, but the order does not allow it.
    Restarts = "restarts",
    /// The release was made for another version of the daemon.
    OtherDaemon = "other_daemon",
    /// Processes still run old code of a module that the upgrade purges softly.
    OldProcesses = "old_processes",
    /// Processes outside every supervision tree run a changed module.
    Orphans = "orphans",
    /// Child specs would change without an instruction for the children.
    Children = "children",
    /// A supervisor would refuse a call of the script.
    Call = "call",
    /// New code rejects a state, a message or an argument that it would receive.
    NotTaken = "not_taken",

    // Planning: the documents of a release.
    /// A document of a release cannot be read.
    ErrorReading = "error_reading",
    /// A document is missing.
    NoDocument = "no_document",
    /// A document is about another app or version than its place.
    OtherDocument = "other_document" in "error_reading",
    /// An app of `release.toml` has an invalid entry.
    IllegalApplications = "illegal_applications" in "error_reading",
    /// An app needs an app that the release does not have, or has too late.
    UndefinedApplications = "undefined_applications",
    /// Two apps register one name.
    DuplicateRegister = "duplicate_register" in "duplicate_modules",
    /// Two apps include one app.
    DuplicateInclude = "duplicate_include" in "duplicate_modules",
    /// Two apps have one module, or an app is named twice.
    DuplicateModules = "duplicate_modules",
    /// Apps need each other to start.
    CircularDependencies = "circular_dependencies",
    /// The library of an app lacks its start module.
    NoStartModule = "no_start_module" in "not_an_application",
    /// The start module of an app is no application module.
    NotAnApplication = "not_an_application",
    /// The app, or one that it needs, does not run.
    NotStarted = "not_started",

    // Planning: appups and relups.
    /// An appup is missing or cannot be used.
    FileProblem = "file_problem",
    /// The appup has no entry for the other version.
    NoRelup = "no_relup" in "version_not_in_appup",
    /// An app changes, and neither version has an appup.
    NoAppupFound = "no_appup_found" in "version_not_in_appup",
    /// No appup leads from the running version to the target.
    VersionNotInAppup = "version_not_in_appup",
    /// Dropping fields of a state may lose a renamed field.
    StateMoved = "state_moved",
    /// An appup of a draft has a place that the author must fill in.
    Todo = "todo",
    /// An instruction is unknown, or lacks a key.
    BadInstruction = "bad_instruction",
    /// A part of an instruction is not the name of a module.
    BadModule = "bad_module" in "bad_instruction",
    /// `change` of an instruction is none of its values.
    BadChange = "bad_change" in "bad_instruction",
    /// `mod_type` of an instruction is none of its values.
    BadModType = "bad_mod_type" in "bad_instruction",
    /// A purge method is neither `soft` nor `brutal`.
    BadPurgeMethod = "bad_purge_method" in "bad_instruction",
    /// A timeout of an instruction is not a time above 0.
    BadTimeout = "bad_timeout" in "bad_instruction",
    /// A part of an instruction is not a list.
    BadList = "bad_list" in "bad_instruction",
    /// The arguments of a call are not a list.
    BadArgsList = "bad_args_list" in "bad_instruction",
    /// A function of a call is not written as `module:function`.
    BadFunc = "bad_func" in "bad_instruction",
    /// A part of an instruction is not the name of a node.
    BadNode = "bad_node" in "bad_instruction",
    /// A part of an instruction is not the name of a library.
    BadLib = "bad_lib" in "bad_instruction",
    /// `code_change` has a mode that is neither `up` nor `down`.
    BadMode = "bad_mode" in "bad_instruction",
    /// `code_change` has a part that is not a module with its data.
    BadCodeChange = "bad_code_change" in "bad_instruction",
    /// A part of an instruction is not the name of an app.
    BadApplication = "bad_application" in "bad_instruction",
    /// `add_application` has a start type that does not exist.
    BadStartType = "bad_start_type" in "bad_instruction",
    /// The instruction is one of OTP's that reld does not have.
    NotYetImplemented = "not_yet_implemented" in "bad_instruction",
    /// `load_object_code` names a library that the release lacks or that runs already.
    BadLibVsn = "bad_lib_vsn" in "no_object_code",
    /// An entry has more than one `point_of_no_return`.
    TooManyPointOfNoReturn = "too_many_point_of_no_return" in "bad_op_before_point_of_no_return",
    /// An instruction is not allowed before `point_of_no_return`.
    BadOpBeforePointOfNoReturn = "bad_op_before_point_of_no_return",
    /// A module is loaded without its `load_object_code`.
    NoObjectCode = "no_object_code",
    /// A module is suspended and not resumed.
    SuspendedNotResumed = "suspended_not_resumed",
    /// A module is resumed and not suspended.
    ResumedNotSuspended = "resumed_not_suspended" in "suspended_not_resumed",
    /// A module is started and not stopped.
    StartNotStop = "start_not_stop" in "suspended_not_resumed",
    /// A module is stopped and not started.
    StopNotStart = "stop_not_start" in "suspended_not_resumed",
    /// The node or the release has no such app.
    NoSuchApplication = "no_such_application",
    /// An app is to be removed, but the target release has it.
    RemovedApplicationPresent = "removed_application_present" in "no_such_application",
    /// A module has more than one instruction.
    MuldefModule = "muldef_module",
    /// A module that an instruction names has no instruction, or is in no app.
    UndefModule = "undef_module",
    /// No app of the target release has the module.
    NoSuchModule = "no_such_module",
    /// Two versions of an app would be loaded.
    ConflictingVersions = "conflicting_versions" in "no_object_code",
    /// The script breaks a rule of its order, or does not fit the behaviour of a module.
    BadScript = "bad_script",

    // Packing, and the apps of a developer.
    /// No folder below `--apps` has the app and version, or the release does not name the app.
    NoApp = "no_app",
    /// Two folders have the same app and version.
    AppTwice = "app_twice" in "no_app",
    /// The folder of an app does not build a library.
    NotBuildable = "not_buildable",
    /// `cargo` or `make` failed.
    BuildFailed = "build_failed",
    /// `app.toml` and the library of an app disagree.
    LibraryMismatch = "library_mismatch",
    /// A file cannot be packed.
    NotPackable = "not_packable",
    /// The file or folder exists and is not overwritten.
    Exists = "exists",
    /// The tarball of the present version is missing.
    NoTarball = "no_tarball",
    /// The documents of an app name different versions.
    OtherVersion = "other_version" in "no_tarball",
    /// The folder has another app.
    OtherApp = "other_app",
    /// The demo failed.
    Demo = "demo",
    /// The temporary node of a command did not start, or ended.
    NodeEnded = "node_ended",

    // The root of a node.
    /// The root is in use by another daemon.
    RootInUse = "root_in_use",
    /// The folder is not a root that this daemon can use.
    BadRoot = "bad_root",
    /// The node's own configuration is invalid, or cannot be written.
    BadConfig = "bad_config",

    // Processes, apps and modules of a node.
    /// There is no such process.
    Noproc = "noproc",
    /// The process is not a supervisor.
    NotASupervisor = "not_a_supervisor" in "not_a_server",
    /// The process takes no requests.
    NotAServer = "not_a_server",
    /// The process is a task, which has no system messages.
    Task = "task",
    /// The process is not suspended.
    NotSuspended = "not_suspended",
    /// The process refused a system message.
    Refused = "refused",
    /// The process, app or daemon did not answer in time.
    Timeout = "timeout",
    /// The process ended without a reply.
    Exit = "exit",
    /// The mailbox of the process is full.
    Overloaded = "overloaded",
    /// The process cannot decode the message.
    Undecodable = "undecodable",
    /// The process runs another module.
    OtherModule = "other_module",
    /// The process, child or app did not start.
    StartFailed = "start_failed",
    /// The `init` of the process returned `ignore`.
    Ignore = "ignore",
    /// The child or app runs already.
    AlreadyStarted = "already_started",
    /// The supervisor has a child with this id that does not run.
    AlreadyPresent = "already_present",
    /// The supervisor has no such child.
    NotFound = "not_found",
    /// The child runs.
    Running = "running",
    /// The supervisor restarts the child at the moment.
    Restarting = "restarting" in "running",
    /// The child spec does not fit its module or the supervisor.
    BadSpec = "bad_spec",
    /// The module of the child spec is not loaded.
    UnknownModule = "unknown_module" in "bad_spec",
    /// The children of a simple_one_for_one have no ids.
    SimpleOneForOne = "simple_one_for_one",
    /// The module is not loaded, or cannot be.
    NotLoaded = "not_loaded",
    /// The module has old code already.
    NotPurged = "not_purged",
    /// The process is in old code that must be purged first.
    Lingering = "lingering",
    /// An app or the disk did not take a new configuration.
    ConfigChange = "config_change",

    // The command line and the API.
    /// The command line is wrong.
    Usage = "usage",
    /// No daemon answers on the socket.
    NoDaemon = "no_daemon",
    /// The time that the command may wait is over.
    Deadline = "deadline",
    /// The daemon ended before it had answered.
    Broken = "broken",
    /// The daemon's answer has an unknown form.
    Shape = "shape",
    /// The request makes no sense.
    BadRequest = "bad_request",
    /// The API has no such route.
    NoSuchRoute = "no_such_route" in "bad_request",
    /// The user may not use the socket, or may only look.
    Forbidden = "forbidden",
    /// The daemon serves too many connections.
    TooManyConnections = "too_many_connections",
}
