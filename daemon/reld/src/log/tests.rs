use std::sync::mpsc;

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// An output that replaces stderr.
struct Out<F>(F);

impl<F: FnMut(&[u8]) -> io::Result<usize>> Write for Out<F> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        (self.0)(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The result of one write.
#[derive(Clone, Copy)]
enum Answer {
    Takes(usize),
    TakesAll,
    Fails(ErrorKind),
    Panics,
}
use Answer::{Fails, Panics, Takes, TakesAll};

/// Logs lines, each after the previous one is written. The first writes have the results in
/// `answers`, and later writes succeed. Returns the output and the number of lost lines.
fn written(answers: &[Answer], lines: &[&str]) -> (String, u64) {
    written_as(Form::Text, answers, lines)
}

fn written_as(form: Form, answers: &[Answer], lines: &[&str]) -> (String, u64) {
    let out = Arc::new(Mutex::new(Vec::new()));
    let paper = Arc::clone(&out);
    let answers = answers.to_vec();
    let mut answers = answers.into_iter();
    let take = move |text: &[u8]| {
        let length = match answers.next().unwrap_or(TakesAll) {
            Takes(length) => length,
            TakesAll => text.len(),
            Fails(kind) => return Err(kind.into()),
            Panics => panic!("a bug in the writer"),
        };
        paper.lock().extend_from_slice(&text[..length]);
        Ok(length)
    };
    let log = Log::start(Out(take), form, 1 << 20).unwrap();
    for line in lines {
        log.plain(line);
        log.flush(LONG);
    }
    let text = String::from_utf8(out.lock().clone()).unwrap();
    // Cut off the time of the log's own lines.
    let shown = text.lines().map(|line| line.split_once("  WARN ").map_or(line, |(_, text)| text));
    (shown.map(|line| format!("{line}|")).collect(), log.lost())
}

#[track_caller]
fn check(answers: &[Answer], lines: &[&str], out: &str, lost: u64) {
    assert_eq!(written(answers, lines), (out.to_owned(), lost));
}

const FULL: Answer = Fails(ErrorKind::StorageFull);

#[test]
fn lines_keep_their_order_even_if_writes_are_short() {
    check(&[], &["one", "two", "three"], "one|two|three|", 0);
    let [interrupted, not_now] = [ErrorKind::Interrupted, ErrorKind::WouldBlock].map(Fails);
    check(&[Takes(1), interrupted, Takes(2), not_now], &["one", "two"], "one|two|", 0);
}

#[test]
fn foreign_text_neither_controls_a_terminal_nor_looks_like_another_line() {
    check(&[], &["\u{1b}[2J\tred\u{9b}0m", "end"], "\\u001b[2J\tred\\u009b0m|end|", 0);
    let forged = "an error\n2026-01-01T00:00:00Z  INFO all is well";
    check(&[], &[forged], "an error|    2026-01-01T00:00:00Z  INFO all is well|", 0);
    let json = Form::Json.shown(b"{\"name\":\"\xc2\x9b\"}\n").into_owned();
    assert_eq!(json, b"{\"name\":\"\\u009b\"}\n");
}

#[test]
fn a_long_entry_is_shortened() {
    let (text, lost) = written(&[], &[&"x".repeat(1 << 20)]);
    assert_eq!(lost, 0);
    assert!(text.len() < 2 * ENTRY_MAX && text.ends_with("… (983040 more characters)|"), "{}", text.len());
}

#[test]
fn the_log_shows_where_lines_are_missing_and_never_joins_a_line_to_a_cut_one() {
    let one_missing = "one|reld::log: 1 lines of the log are missing here|three|";
    check(&[TakesAll, FULL], &["one", "two", "three"], one_missing, 1);
    check(&[TakesAll, Takes(0)], &["one", "two", "three"], one_missing, 1);
    // The second line is cut, and the third is lost together with the note about it.
    let cut = "one|t|reld::log: 2 lines of the log are missing here|four|";
    check(&[TakesAll, Takes(1), FULL, FULL], &["one", "two", "three", "four"], cut, 2);
}

#[test]
fn a_panic_of_the_writer_costs_the_lines_that_it_wrote() {
    check(&[Panics], &["one", "two"], "reld::log: 1 lines of the log are missing here|two|", 1);
}

#[test]
fn a_blocked_reader_blocks_no_thread_and_each_line_is_written_or_counted() {
    let (read, reads) = mpsc::channel::<()>();
    let (paper, out) = mpsc::channel();
    let take = move |text: &[u8]| {
        // Blocks until the test reads.
        reads.recv().unwrap_or(());
        paper.send(text.to_vec()).unwrap_or(());
        Ok(text.len())
    };
    let log = Log::start(Out(take), Form::Json, 1 << 20).unwrap();
    let count = 2 * LINES_MAX;
    for number in 0..count {
        log.plain(&json!({"number": number}).to_string());
    }
    assert!(log.alarm().is_some_and(|alarm| alarm.contains("its reader does not keep up")));
    let begin = Instant::now();
    log.flush(Duration::from_millis(10));
    assert!(begin.elapsed() < LONG);
    drop(read);
    log.flush(LONG);
    log.plain(&json!({"number": count}).to_string());
    log.flush(LONG);
    let text = out.try_iter().flatten().collect::<Vec<u8>>();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let lines: Vec<serde_json::Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["number"].as_u64()).collect();
    assert!(numbers.is_sorted());
    assert_eq!(
        (numbers.len() as u64 + log.lost(), numbers.last()),
        (count as u64 + 1, Some(&(count as u64)))
    );
    let gap = format!("{} lines of the log are missing here", log.lost());
    assert_eq!(lines[lines.len() - 2]["fields"]["message"], json!(gap));
}

#[test]
fn a_line_of_json_that_is_too_long_for_the_queue_is_dropped() {
    let long = "x".repeat(BYTES_MAX);
    let (text, lost) = written_as(Form::Json, &[], &["one", &long, "two"]);
    assert_eq!(lost, 1);
    let gap = text.strip_prefix("one|").and_then(|rest| rest.strip_suffix("|two|"));
    assert!(gap.is_some_and(|gap| gap.contains("1 lines of the log are missing here")), "{text}");
}
