//! The client of etcd's JSON gateway, against real members.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use reld_etcd::{Client, Committed, Compare, Delete, Error, Login, Settings, Tls, Txn};
use reld_tests::{Etcd, eventually};
use serde_json::json;

/// A silence that ends a watch of these tests.
const SILENCE: Duration = Duration::from_millis(200);

fn settings(etcd: &Etcd) -> Settings {
    Settings { endpoints: etcd.endpoints(), ..Settings::default() }
}

fn client(settings: Settings) -> Client {
    Client::new(settings).expect("the settings are valid")
}

#[track_caller]
fn check_refused(settings: Settings, is_passing: bool, expected: &str) {
    let error = client(settings).range("/shop/").expect_err("the request is refused");
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(error.is_passing(), is_passing, "{error}");
}

fn keys(client: &Client) -> Vec<(String, String)> {
    let range = client.range("/shop/").expect("etcd answers");
    range.keys.into_iter().map(|kv| (kv.key, kv.value)).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn keys_change_in_transactions_and_a_watch_sees_each_change() {
    let Some(etcd) = Etcd::start() else { return };
    let client = client(settings(&etcd));
    let empty = client.range("/shop/").unwrap();
    assert_eq!(empty.keys, []);
    let first = Txn { compares: vec![Compare::absent("/shop/a")], ..Txn::default() }.put("/shop/a", "ä\"1");
    let Committed::At(revision) = client.txn(&first).unwrap() else { panic!("the key was absent") };
    assert_eq!(client.txn(&first).unwrap(), Committed::Not);
    let seen = client.range("/shop/").unwrap();
    assert_eq!((seen.revision, seen.keys[0].mod_revision), (revision, revision));
    assert_eq!(keys(&client), [pair("/shop/a", "ä\"1")]);

    let mut watch = client.watch("/shop/", empty.revision + 1, SILENCE).unwrap();
    assert_eq!(watch.wait().unwrap(), Some(revision), "an earlier change is not missed");
    let more = Txn { compares: vec![Compare::at("/shop/a", revision)], ..Txn::default() };
    let more = more.put("/shop/b/1", "1").put("/shop/b/2", "2").put("/shopping", "elsewhere");
    let Committed::At(next) = client.txn(&more).unwrap() else { panic!("the revision is the one seen") };
    assert_eq!(watch.wait().unwrap(), Some(next));
    assert_eq!(watch.wait().unwrap(), None, "a silence ends the watch");

    let gone = [Delete::Key("/shop/a".to_owned()), Delete::Below("/shop/b/".to_owned())];
    client.txn(&Txn { deletes: gone.into(), ..Txn::default() }).unwrap();
    assert_eq!(keys(&client), []);
    etcd.post("/v3/kv/compaction", &json!({ "revision": next.to_string() }));
    let mut late = client.watch("/shop/", revision, SILENCE).unwrap();
    assert_eq!(late.wait().unwrap(), Some(next), "a revision that is no longer kept counts as a change");
}

#[test]
fn a_key_ends_with_its_lease() {
    let Some(etcd) = Etcd::start() else { return };
    let client = client(settings(&etcd));
    let lease = client.grant(Duration::from_secs(60)).unwrap();
    let txn = Txn::default().put_under(lease, "/shop/n1", "here");
    client.txn(&txn).unwrap();
    assert!(client.keep_alive(lease).unwrap());
    assert_eq!(keys(&client), [pair("/shop/n1", "here")]);
    client.revoke(lease).unwrap();
    client.revoke(lease).unwrap();
    assert_eq!(keys(&client), []);
    assert!(!client.keep_alive(lease).unwrap());
    assert!(matches!(client.txn(&txn), Err(Error::NoLease)));
    let short = client.grant(Duration::from_secs(1)).unwrap();
    client.txn(&Txn::default().put_under(short, "/shop/n1", "here")).unwrap();
    eventually("the lease ends by itself", || keys(&client).is_empty().then_some(()));
}

#[test]
fn a_user_logs_in_and_logs_in_again_when_etcd_has_forgotten_the_token() {
    let Some(mut etcd) = Etcd::start() else { return };
    let login = |password: &str| Login { user: "reld".to_owned(), password: password.to_owned() };
    let with = |login| Settings { login, ..settings(&etcd) };
    let (none, right, wrong) = (with(None), with(Some(login("right"))), with(Some(login("wrong"))));
    check_refused(right.clone(), false, "as reld: etcdserver: authentication is not enabled");
    etcd.require_password("reld", "right");
    check_refused(wrong, false, "as reld: etcdserver: authentication failed, invalid user ID or password");
    check_refused(none, false, "it requires a user; set `user` and `password_file`");
    let client = client(right);
    client.txn(&Txn::default().put("/shop/a", "1")).unwrap();
    etcd.kill();
    let error = client.range("/shop/").unwrap_err();
    assert!(error.is_passing() && error.to_string().starts_with("cannot reach etcd at http://"), "{error}");
    etcd.start_again();
    assert_eq!(keys(&client), [pair("/shop/a", "1")]);
    let mut watch = client.watch("/shop/", 1, SILENCE).unwrap();
    assert!(watch.wait().unwrap().is_some(), "a watch is authorised too");
}

#[test]
fn certificates_are_checked_on_both_sides() {
    let Some(etcd) = Etcd::start_with_tls() else { return };
    let pem = |file| Some(fs::read(file).expect("the cluster has certificates"));
    let with = |tls| Settings { tls, ..settings(&etcd) };
    let authorities = pem(etcd.ca());
    check_refused(with(Tls::default()), false, "name the certificate of its authority with `ca`");
    let anonymous = with(Tls { authorities: authorities.clone(), ..Tls::default() });
    check_refused(anonymous, true, "if it requires a certificate of its clients, set `cert` and `key`");
    let plain = etcd.endpoints()[0].replace("https://", "http://");
    check_refused(Settings::of(&plain), true, "if it speaks TLS, write the endpoint with https://");
    let client =
        client(with(Tls { authorities, certificate: pem(etcd.certificate()), key: pem(etcd.key()) }));
    client.txn(&Txn::default().put("/shop/a", "1")).unwrap();
    assert_eq!(keys(&client), [pair("/shop/a", "1")]);
}

#[test]
fn a_member_without_a_gateway_and_a_foreign_server_are_named_and_the_next_member_answers() {
    let (Some(etcd), Some(without)) = (Etcd::start(), Etcd::start_without_gateway()) else { return };
    let gateway = "its JSON gateway is switched off; start etcd without --enable-grpc-gateway=false";
    check_refused(settings(&without), false, gateway);
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let closed = format!("http://{closed}");
    check_refused(Settings::of(&closed), true, "cannot reach etcd at http://");
    let endpoints = [vec![closed], without.endpoints(), etcd.endpoints()].concat();
    let client = client(Settings { endpoints, ..Settings::default() });
    assert_eq!(keys(&client), []);
}
