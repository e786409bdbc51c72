//! All answers. Later versions may add fields, so clients must skip unknown ones.

mod env;
mod events;
mod fleet;
mod history;
mod keys;
mod look;
mod meeting;
mod release;
mod touch;
mod trial;

pub use env::{ChangedEnv, EnvChanged, EnvList, EnvOrigin, EnvValue};
pub use events::{Event, Followed, LogLevel, LogLine, LogList, What};
pub use fleet::{
    FleetNode, FleetNodeList, FleetStatus, NodeRemoved, Rollout, RolloutChanged, RolloutDirection,
    RolloutNode, RolloutNodeState, RolloutPhase, RolloutShown, SlotHolder,
};
pub use history::{Attached, HistoryEntry, HistoryKind, HistoryList};
pub use keys::{KeyList, KeyRow};
pub use look::{
    App, AppList, AppStatus, Behaviour, Callback, ChildList, ChildRow, ChildSpecShown, CodeAge, CodeTable,
    EndedApp, Forest, Heap, Letter, LetterKind, Library, LoggedMessage, MessageCounts, Module, NodeStatus,
    OldCode, PendingTimer, Port, PortList, Process, ProcessDetails, ProcessList, ProcessLog, ProcessState,
    ProcessStatistics, ProcessStatus, Progress, Resident, RunningRelease, StuckCode, SysStatus, Table,
    TableList, TopList, TopProcess, TreeNode, WaitingOrder,
};
pub use meeting::{Meeting, Verdict};
pub use release::{
    Checked, Committed, DamagedFile, Ended, Harm, Lingerer, Outcome, Pauses, Probed, Pruned, PrunedRelease,
    Rebooting, ReleaseList, ReleaseRow, ReleaseStatus, Removed, Report, Settled, Started, Step, StepRun,
    Unpacked, Verified, VerifiedRelease, Window,
};
pub use touch::{
    AppStarted, AppStopped, ChildDeleted, ChildStarted, ChildTerminated, CodeChanged, ExitSent, LinkEvent,
    Loaded, Party, Purged, Replied, Resumed, Sent, SoftPurged, Spawned, Suspended, SysDone, Told, TraceEvent,
};
pub use trial::{NotTried, Trial};
