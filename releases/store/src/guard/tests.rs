use super::fixture::{Place, admit, brings, commit, key, sign, sign_as, unpack, unpack_with, vsn};
use crate::fixture;
use crate::store::arrival::UnpackOptions;

const OLDER: &str = "it has serial 46, and this node has committed serial 47 of shop";

#[test]
fn s132_an_insufficiently_signed_release_is_refused_before_anything_is_written() {
    let [ours, other] = [key(), key()];
    let place = Place::new("signed", &[("ci", &ours)]);
    let mut store = place.open();
    let before = fixture::tree(&place.path("root"));
    let tarball = place.release(0, 1, "");
    let mut refused = |part: &str| {
        let words = unpack(&mut store, &tarball).unwrap_err();
        assert!(words.contains(part), "{words}");
        assert_eq!(fixture::tree(&place.path("root")), before);
    };
    refused("it has no signature");
    sign(&tarball, &other);
    refused("which this node does not know");
    sign_as(&tarball, &ours, "reld shop 1.0.0 serial=2 identity=0");
    refused("the trusted comment of key ci is");
    sign(&tarball, &ours);
    assert_eq!(unpack(&mut store, &tarball), Ok(Vec::new()));
    let release = store.release(&vsn(0)).unwrap();
    assert_eq!(
        (release.provenance.serial, release.provenance.signed_by.as_slice()),
        (1, &["ci".to_owned()][..])
    );
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
}

#[test]
fn s134_only_a_commit_raises_the_floor_and_the_way_back_never_meets_it() {
    let place = Place::new("off", &[]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 46, "")).unwrap();
    commit(&mut store, 0);
    unpack(&mut store, &place.release(1, 47, "")).unwrap();
    unpack(&mut store, &place.release(2, 46, "")).unwrap();
    store.install(&vsn(1)).unwrap();
    assert_eq!(admit(&store, 2), Ok(Vec::new()), "an install raises nothing");
    store.make_permanent(&vsn(1)).unwrap();
    let mut store = {
        drop(store);
        place.open()
    };

    let words = admit(&store, 2).unwrap_err();
    assert!(words.contains(OLDER), "{words}");
    let late = place.release(3, 46, "");
    let words = unpack(&mut store, &late).unwrap_err();
    assert!(words.contains(OLDER) && words.contains("--ignore-floor"), "{words}");
    unpack_with(&mut store, &late, UnpackOptions { ignores_floor: true, ..UnpackOptions::default() })
        .unwrap();
    let warnings = admit(&store, 3).unwrap();
    assert!(warnings[0].contains(OLDER), "{warnings:?}");

    assert_eq!(admit(&store, 0), Ok(Vec::new()), "the release was permanent");
    commit(&mut store, 0);
    assert_eq!(store.releases().floors[0].serial, 47);
}

#[test]
fn s135_a_committed_release_changes_the_keys_once() {
    let [root, first, second] = [key(), key(), key()];
    let place = Place::new("signed", &[("root", &root)]);
    let mut store = place.open();
    let signed = |minor, keys: &str, pair: &minisign::KeyPair| place.signed(minor, minor, keys, pair);
    unpack(&mut store, &signed(0, &brings("first", &first), &root)).unwrap();
    let by_first = signed(1, &brings("second", &second), &first);
    store.install(&vsn(0)).unwrap();
    assert!(unpack(&mut store, &by_first).unwrap_err().contains("does not know"), "not committed");
    store.make_permanent(&vsn(0)).unwrap();
    unpack(&mut store, &by_first).unwrap();
    commit(&mut store, 1);

    let id = reld_trust::KeyLine::parse(&first.pk.to_base64()).unwrap().with("", Default::default()).id;
    unpack(&mut store, &signed(2, &format!("retire = [\"{id}\"]\n"), &second)).unwrap();
    commit(&mut store, 2);
    let by_first = signed(3, "", &first);
    assert!(unpack(&mut store, &by_first).unwrap_err().contains("a later release has retired"));
    // The release was signed with the retired key, but it was permanent.
    assert_eq!(admit(&store, 1), Ok(Vec::new()));
    commit(&mut store, 0);
    let mut store = {
        drop(store);
        place.open()
    };
    assert!(unpack(&mut store, &by_first).unwrap_err().contains("retired"), "the way back brings no keys");
}

#[test]
fn keys_of_an_insufficiently_signed_release_are_ignored() {
    let [ours, thief] = [key(), key()];
    let place = Place::new("warn", &[("ci", &ours)]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, &brings("thief", &thief))).unwrap();
    commit(&mut store, 0);
    assert!(store.releases().keys.is_empty());
}

#[test]
fn s138_a_policy_that_warns_accepts_the_release_with_a_warning() {
    let place = Place::new("warn", &[("ci", &key())]);
    let mut store = place.open();
    let warning = "the release is not trusted: it has no signature; sign it with `relctl sign`";
    assert_eq!(unpack(&mut store, &place.release(0, 0, "")), Ok(vec![warning.to_owned()]));
    assert_eq!(admit(&store, 0), Ok(vec![warning.to_owned()]));
}

#[test]
fn a_permanent_release_runs_on_under_a_stricter_or_an_unreadable_policy() {
    let place = Place::new("off", &[("ci", &key())]);
    let mut store = place.open();
    unpack(&mut store, &place.release(0, 0, "")).unwrap();
    commit(&mut store, 0);
    assert_eq!(store.distrust(&vsn(0)), None);
    place.require("signed");
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
    assert!(store.distrust(&vsn(0)).unwrap().contains("it has no signature"));
    place.require("sigend");
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
    assert!(store.distrust(&vsn(0)).unwrap().contains("trust.toml:1:11"));
    let words = unpack(&mut store, &place.release(1, 0, "")).unwrap_err();
    assert!(words.contains("cannot read the policy of signatures"), "{words}");
}

#[test]
fn a_known_release_takes_a_new_signature() {
    let [ours, other] = [key(), key()];
    let place = Place::new("warn", &[("ci", &ours)]);
    let mut store = place.open();
    let tarball = place.signed(0, 0, "", &other);
    unpack(&mut store, &tarball).unwrap();
    place.require("signed");
    assert!(admit(&store, 0).unwrap_err().contains("does not know"));
    sign(&tarball, &ours);
    unpack(&mut store, &tarball).unwrap();
    assert_eq!(admit(&store, 0), Ok(Vec::new()));
    assert_eq!(store.release(&vsn(0)).unwrap().provenance.signed_by, ["ci"]);
}
