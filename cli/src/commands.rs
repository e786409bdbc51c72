//! One function per command: from parsed arguments to output.

mod app;
mod bump;
mod child;
mod code;
mod demo;
mod dev;
mod diff;
mod env;
mod explain;
mod history;
mod limited;
mod load;
mod look;
mod manual;
mod message;
mod new;
mod node;
mod pack;
mod plan;
mod probe;
mod release;
mod reports;
mod rollout;
mod sign;
mod spawn;
mod sys;
mod tied;
mod top;
mod trace;
mod upgrade;
mod wait;

use reld_api::Client;

use crate::args::{Args, Command};
use crate::error::Failure;
use crate::shown::Shown;

pub(crate) async fn run(args: Args) -> Result<Shown, Failure> {
    let json = args.global.json;
    let client = &Client::new(args.global.socket());
    match args.command {
        Command::New(args) => new::new(&args),
        Command::Bump(args) => bump::bump(&args),
        Command::Pack(args) => pack::pack(args).await,
        Command::Plan(args) => plan::plan(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Unpack { file, identity, floor, wait } => {
            release::unpack(client, &file, identity, floor, wait).await
        }
        Command::Keys => release::keys(client).await,
        Command::Sign(args) => sign::sign(&args),
        Command::Check(args) => release::check(client, args.version, args.policy).await,
        Command::Install(args) => upgrade::install(client, args).await,
        Command::Commit { version, wait } => release::commit(client, version, wait).await,
        Command::Remove { release, wait } => release::remove(client, release.version, wait).await,
        Command::Prune(args) => release::prune(client, args).await,
        Command::Verify { release, file } => release::verify(client, release, &file).await,
        Command::RebootOld { release, wait } => release::reboot_old(client, release.version, wait).await,
        Command::Releases => release::releases(client).await,
        Command::Rollout(args) => rollout::run(client, args).await,
        Command::Attach { version } => history::attach(client, version).await,
        Command::Abort => history::abort(client).await,
        Command::History { number, rollout } => history::history(client, number, rollout).await,
        Command::Upgrade(args) => upgrade::upgrade(client, args).await,
        Command::Downgrade(args) => upgrade::downgrade(client, args).await,
        Command::Wait(args) => wait::wait(client, args).await,
        Command::Status => look::status(client).await,
        Command::Tree(args) => look::tree(client, args).await,
        Command::Ps => look::processes(client).await,
        Command::Top(args) => top::top(client, args, json).await,
        Command::Proc(args) => look::proc(client, args.process).await,
        Command::Apps => look::apps(client).await,
        Command::Env(args) => env::run(client, args).await,
        Command::Ports => look::ports(client).await,
        Command::Tables => look::tables(client).await,
        Command::Code { module } => look::code(client, module).await,
        Command::State(args) => look::state(client, args.process).await,
        Command::Call(args) => message::call(client, args).await,
        Command::Cast { process, message } => message::cast(client, process, message).await,
        Command::Spawn(args) => spawn::spawn(client, args, json).await,
        Command::Load(args) => load::load(client, args).await,
        Command::Suspend(args) => sys::suspend(client, args.process).await,
        Command::Resume(args) => sys::resume(client, args.process).await,
        Command::Sys(args) => sys::run(client, args).await,
        Command::Events { since } => reports::events(client, since, json).await.map(|()| Shown::nothing()),
        Command::Logs(args) => reports::logs(client, args, json).await.map(|()| Shown::nothing()),
        Command::Trace(args) => trace::trace(client, args).await,
        Command::ChangeCode(args) => sys::change_code(client, args).await,
        Command::Purge { module } => code::purge(client, module).await,
        Command::SoftPurge { module } => code::soft_purge(client, module).await,
        Command::Kill { process, reason } => message::kill(client, process, reason).await,
        Command::Child(args) => child::run(client, args).await,
        Command::App(args) => app::run(client, args).await,
        Command::Dev(args) => dev::dev(args, json).await,
        Command::Demo { quest } => demo::demo(quest).await,
        Command::Explain { code } => explain::explain(code.as_deref()),
        Command::Completions { shell } => Ok(manual::completions(shell)),
        Command::Man { folder } => manual::pages(&folder),
        Command::Limited { program } => Err(limited::exec(&program)),
        Command::Tied { program } => Err(tied::exec(&program)),
    }
}
