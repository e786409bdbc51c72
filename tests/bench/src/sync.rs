//! Measures the meetings of `sync_nodes` over a real etcd: three nodes, each a thread with a client
//! of its own, and a third of the meetings refused. Fails if two nodes know different decisions.

use std::thread;
use std::time::{Duration, Instant};

use reld_etcd::{Client, Compare, Delete, Put, Settings};
use reld_fleet::ledger::{self, Entry, Keys, Name, Txn};
use reld_fleet::meeting::{Deciding, Joining, Meeting};
use reld_plan::Mode;
use reld_tests::Etcd;
use serde_json::json;

use crate::line;

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The longest wait for a change before the next look.
const LOOK: Duration = Duration::from_millis(500);

/// The decision of a meeting at one node, and the times of its vote and of its knowledge.
struct Decided {
    goes: bool,
    voted: Instant,
    known: Instant,
}

pub(crate) fn run(barriers: usize) {
    let Some(etcd) = Etcd::start() else { return };
    let clients = NODES.map(|_| {
        let settings = Settings { endpoints: etcd.endpoints(), ..Settings::default() };
        Client::new(settings).expect("the URL is valid")
    });
    let (mut whole, mut held, mut apart) = (Vec::new(), Vec::new(), Vec::new());
    for barrier in 0..barriers {
        let refuses = barrier % 3 == 2;
        let begin = Instant::now();
        let decided = thread::scope(|scope| {
            let begun: Vec<_> = (0..NODES.len())
                .map(|at| {
                    let client = &clients[at];
                    scope.spawn(move || meet(client, NODES[at], barrier, refuses && at == 1))
                })
                .collect();
            begun.into_iter().map(|node| node.join().expect("the node meets")).collect::<Vec<_>>()
        });
        assert!(decided.iter().all(|node| node.goes != refuses), "barrier {barrier} has two decisions");
        let known = decided.iter().map(|node| node.known);
        let (first, last) = (known.clone().min(), known.max());
        let [first, last] = [first, last].map(|known| known.expect("there are nodes"));
        whole.push(ms(last - begin));
        apart.push(ms(last - first));
        held.extend(decided.iter().map(|node| ms(node.known - node.voted)));
    }
    let parameters = json!({ "nodes": NODES.len(), "refused": barriers / 3 });
    line::print("sync_nodes_meeting", &parameters, "ms", whole);
    line::print("sync_nodes_held", &parameters, "ms", held);
    line::print("sync_nodes_apart", &parameters, "ms", apart);
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Joins the meeting as one node, votes or refuses, and returns the decision.
fn meet(client: &Client, node: &str, barrier: usize, refuses: bool) -> Decided {
    let name = |text: &str| text.parse::<Name>().expect("it is a name");
    let (keys, nodes) = (Keys::of(&name("bench")), NODES.map(name));
    let place = ("0123", Mode::Up, &json!("all"));
    let meeting = Meeting::new(&keys, place, name(node), &nodes, format!("{node}/{barrier}"));
    let meeting = meeting.expect("the nodes can meet");
    let round = loop {
        let (entries, revision) = look(client, &meeting);
        match meeting.join(&entries).expect("the keys are readable") {
            Joining::Write(txn) => write(client, &txn),
            Joining::Missing(_) => wait(client, &meeting, revision),
            Joining::Met(round) => break round,
            // A node that decided before this one looked has refused.
            Joining::Refused(_) => {
                let now = Instant::now();
                return Decided { goes: false, voted: now, known: now };
            }
            Joining::Follow(_) => panic!("{node} has recorded its last switch"),
        }
    };
    let voted = Instant::now();
    let goes = loop {
        let (entries, revision) = look(client, &meeting);
        match meeting.decide(round, &entries).expect("the keys are readable") {
            Deciding::Go => break true,
            Deciding::No(_) => break false,
            Deciding::Over => panic!("{node} has missed the decision"),
            Deciding::Missing(_) => wait(client, &meeting, revision),
            Deciding::Write(_) if refuses => {
                let refusal = meeting.refuse("it refuses", &entries).expect("the keys are readable");
                refusal.iter().for_each(|txn| write(client, txn));
            }
            Deciding::Write(txn) => write(client, &txn),
        }
    };
    let known = Instant::now();
    while let (true, (entries, _)) = (goes, look(client, &meeting))
        && let Some(txn) = meeting.gone(round, &entries).expect("the keys are readable")
    {
        write(client, &txn);
    }
    Decided { goes, voted, known }
}

fn look(client: &Client, meeting: &Meeting) -> (Vec<Entry>, u64) {
    let range = client.range(meeting.prefix()).expect("etcd answers");
    let entry = |kv: reld_etcd::KeyValue| Entry { key: kv.key, value: kv.value, revision: kv.mod_revision };
    (range.keys.into_iter().map(entry).collect(), range.revision)
}

fn wait(client: &Client, meeting: &Meeting, revision: u64) {
    let watch = client.watch(meeting.prefix(), revision + 1, LOOK);
    watch.and_then(|mut watch| watch.wait()).expect("etcd answers");
}

fn write(client: &Client, txn: &Txn) {
    let compare = |compare: &ledger::Compare| Compare::at(&*compare.key, compare.revision);
    let put = |put: &ledger::Put| Put { key: put.key.clone(), value: put.value.clone(), lease: None };
    let delete = |delete: &ledger::Delete| match delete {
        ledger::Delete::Key(key) => Delete::Key(key.clone()),
        ledger::Delete::Below(prefix) => Delete::Below(prefix.clone()),
    };
    let txn = reld_etcd::Txn {
        compares: txn.compares.iter().map(compare).collect(),
        puts: txn.puts.iter().map(put).collect(),
        deletes: txn.deletes.iter().map(delete).collect(),
    };
    client.txn(&txn).expect("etcd answers");
}
