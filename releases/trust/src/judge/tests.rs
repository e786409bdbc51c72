use proptest::prelude::*;

use super::*;
use crate::change::KeyChange;
use crate::judge::fixture::{Author, claim};
use crate::key::Limits;
use crate::ring::Keys;

const MANIFEST: &[u8] = b"name = \"shop\"\n";

fn seal(authors: &[&Author]) -> String {
    let signed = |author: &&Author| author.sign(MANIFEST, &claim("1.1.0", 47).to_string());
    authors.iter().map(signed).reduce(|seal, next| seal.with(&next)).unwrap().text().to_owned()
}

fn judged(ring: &Ring, threshold: usize, seal: Option<&str>) -> Verdict {
    judge(ring, threshold, Signed { manifest: MANIFEST, claim: &claim("1.1.0", 47), seal })
}

#[track_caller]
fn refused(ring: &Ring, threshold: usize, seal: Option<&str>) -> String {
    judged(ring, threshold, seal).fault.expect("the release is refused").to_string()
}

fn ring(keys: &[Key]) -> Ring {
    Ring::new(keys.to_vec(), &Keys::default())
}

#[test]
fn a_signature_of_a_present_key_is_sufficient() {
    let author = Author::new("ci");
    let verdict = judged(&ring(&[author.key()]), 1, Some(&seal(&[&author])));
    assert_eq!(verdict, Verdict { signed_by: vec!["ci".to_owned()], may_change_keys: true, fault: None });
}

#[test]
fn s132_each_insufficient_signature_has_a_sentence() {
    let [author, other] = ["ci", "other"].map(Author::new);
    let ours = ring(&[author.key()]);
    assert_eq!(refused(&ours, 1, None), "it has no signature; sign it with `relctl sign`");
    let unknown = format!("it is signed with key {}, which this node does not know", other.id());
    assert_eq!(refused(&ours, 1, Some(&seal(&[&other]))), unknown);

    let mut keys = Keys::default();
    keys.take(&"1.0.0".parse().unwrap(), &KeyChange { retire: vec![other.id()], add: Vec::new() });
    let retired = format!("it is signed with key {}, which a later release has retired", other.id());
    assert_eq!(refused(&Ring::new(vec![author.key()], &keys), 1, Some(&seal(&[&other]))), retired);

    let not_genuine =
        "the signature of key ci is not a signature of its manifest.toml with this trusted comment";
    let of_other_bytes = author.sign(b"other", &claim("1.1.0", 47).to_string());
    assert_eq!(refused(&ours, 1, Some(of_other_bytes.text())), not_genuine);
    let swapped = seal(&[&author]).replace("serial=47", "serial=48");
    assert_eq!(refused(&ours, 1, Some(&swapped)), not_genuine);

    let of_other_claim = author.sign(MANIFEST, "reld shop 1.1.0 serial=48 identity=0123");
    let sentence = r#"the trusted comment of key ci is "reld shop 1.1.0 serial=48 identity=0123", but its manifest.toml needs "reld shop 1.1.0 serial=47 identity=0123""#;
    assert_eq!(refused(&ours, 1, Some(of_other_claim.text())), sentence);
    assert_eq!(
        refused(&ours, 1, Some("x")),
        "block 1 of its manifest.toml.minisig is no signature of minisign"
    );
}

#[test]
fn a_key_signs_only_within_its_limits() {
    let author = Author::new("ci");
    let within = |names: &[&str], not_after| {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        ring(&[author.key_within(Limits { names, not_after })])
    };
    let seal = seal(&[&author]);
    assert_eq!(judged(&within(&["plant", "shop"], Some(47)), 1, Some(&seal)).fault, None);
    let other_name = refused(&within(&["plant"], None), 1, Some(&seal));
    assert_eq!(other_name, "key ci may not sign releases of the name shop");
    let ended = refused(&within(&[], Some(46)), 1, Some(&seal));
    assert_eq!(ended, "key ci may sign up to serial 46, and it has serial 47");
}

#[test]
fn s135_only_enough_keys_without_limits_may_change_the_keys_of_a_node() {
    let authors = ["free", "named", "ending"].map(Author::new);
    let [free, named, ending] = &authors;
    let names = Limits { names: vec!["shop".parse().unwrap()], not_after: None };
    let ends = Limits { names: Vec::new(), not_after: Some(90) };
    let ours = ring(&[free.key(), named.key_within(names), ending.key_within(ends)]);
    let may = |threshold, authors: &[&Author]| {
        let verdict = judged(&ours, threshold, Some(&seal(authors)));
        assert_eq!(verdict.fault, None);
        verdict.may_change_keys
    };
    assert!(may(1, &[free]) && may(1, &[free, named]));
    assert!(!may(1, &[named]) && !may(1, &[ending]));
    assert!(!may(2, &[free, named, ending]), "the threshold counts for keys too");
}

#[test]
fn s133_two_of_three_keys_have_to_sign_and_the_missing_ones_are_named() {
    let authors = ["a", "b", "c"].map(Author::new);
    let [a, b, c] = &authors;
    let ours = ring(&authors.each_ref().map(|author| author.key()));
    let too_few = "it is signed with b, but 2 keys have to sign; missing: a, c";
    assert_eq!(refused(&ours, 2, Some(&seal(&[b]))), too_few);
    let twice = seal(&[b]).repeat(2);
    assert_eq!(refused(&ours, 2, Some(&twice)), too_few, "a key counts once");
    let mut signed_by = judged(&ours, 2, Some(&seal(&[a, c]))).signed_by;
    signed_by.sort();
    assert_eq!(signed_by, ["a", "c"]);
}

#[test]
fn a_signature_of_a_coming_key_does_no_harm_beside_a_sufficient_one() {
    let [author, coming] = ["ci", "coming"].map(Author::new);
    let verdict = judged(&ring(&[author.key()]), 1, Some(&seal(&[&coming, &author])));
    assert_eq!(verdict, Verdict { signed_by: vec!["ci".to_owned()], may_change_keys: true, fault: None });
}

proptest! {
    /// The line with the untrusted comment is free: no signature covers it.
    #[test]
    fn s132_one_changed_byte_of_a_manifest_or_its_signature_is_refused(at: prop::sample::Index, bit in 0..7_u32) {
        let author = Author::new("ci");
        let (seal, ours) = (seal(&[&author]), ring(&[author.key()]));
        let free = seal.find('\n').expect("a signature has lines") + 1;
        let signed = seal[free..].trim_end();
        let place = at.index(MANIFEST.len() + signed.len());
        let (mut manifest, mut text) = (MANIFEST.to_vec(), seal.clone().into_bytes());
        match place.checked_sub(MANIFEST.len()) {
            None => manifest[place] ^= 1_u8 << bit,
            Some(place) => text[free + place] ^= 1_u8 << bit,
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let signed = Signed { manifest: &manifest, claim: &claim("1.1.0", 47), seal: Some(&text) };
        prop_assert!(judge(&ours, 1, signed).fault.is_some());
    }
}
