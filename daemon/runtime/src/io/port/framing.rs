//! Splits input into messages. The functions are pure.

use reld_wire::port::Framing;

/// The message at the beginning of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A message of `len` bytes that follows `skip` bytes of header.
    Whole { skip: usize, len: usize },
    /// The message is incomplete.
    More,
    /// The message is longer than this limit.
    TooLong(usize),
}

/// Looks for a message at the beginning of the input. At most `max` bytes of input can be kept.
/// `ended` means that no more input comes, so a last line needs no newline.
///
/// ```text
///           | input                     | frame
///  Raw      | anything                  | all of it
///  Line     | up to a newline, with it  | that line        without one: More, TooLong, or the rest if it ended
///  Packet   | length, then as many      | without length   fewer: More, TooLong
/// ```
pub(crate) fn frame(framing: Framing, input: &[u8], max: usize, ended: bool) -> Frame {
    if input.is_empty() {
        return Frame::More;
    }
    match framing {
        Framing::Raw => Frame::Whole { skip: 0, len: input.len() },
        Framing::Line(longest) => line(input, longest.min(max), ended),
        Framing::Packet(width) => packet(input, usize::from(width), max),
    }
}

fn line(input: &[u8], longest: usize, ended: bool) -> Frame {
    let seen = &input[..input.len().min(longest)];
    match seen.iter().position(|byte| *byte == b'\n') {
        Some(at) => Frame::Whole { skip: 0, len: at + 1 },
        None if input.len() >= longest => Frame::TooLong(longest),
        None if ended => Frame::Whole { skip: 0, len: input.len() },
        None => Frame::More,
    }
}

fn packet(input: &[u8], width: usize, max: usize) -> Frame {
    let Some((head, rest)) = input.split_at_checked(width) else { return Frame::More };
    let len = head.iter().fold(0, |len, byte| (len << 8) | usize::from(*byte));
    if len > max.saturating_sub(width) {
        Frame::TooLong(max.saturating_sub(width))
    } else if rest.len() < len {
        Frame::More
    } else {
        Frame::Whole { skip: width, len }
    }
}

/// Returns the header of a packet of this length; `None` when the length does not fit into it.
pub(crate) fn head(framing: Framing, len: usize) -> Option<Vec<u8>> {
    let Framing::Packet(width) = framing else { return Some(Vec::new()) };
    let len = u32::try_from(len).ok()?.to_be_bytes();
    let (zeros, head) = len.split_at_checked(4_usize.checked_sub(usize::from(width))?)?;
    zeros.iter().all(|byte| *byte == 0).then(|| head.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(framing: Framing, input: &[u8], ended: bool, expected: Frame) {
        assert_eq!(frame(framing, input, 10, ended), expected);
    }

    const fn whole(skip: usize, len: usize) -> Frame {
        Frame::Whole { skip, len }
    }

    #[test]
    fn raw_input_is_taken_as_it_comes() {
        check(Framing::Raw, b"", false, Frame::More);
        check(Framing::Raw, b"abc", false, whole(0, 3));
    }

    #[test]
    fn a_line_ends_with_its_newline_or_with_the_input() {
        check(Framing::Line(8), b"ab\ncd", false, whole(0, 3));
        check(Framing::Line(8), b"\n", false, whole(0, 1));
        check(Framing::Line(8), b"ab", false, Frame::More);
        check(Framing::Line(8), b"ab", true, whole(0, 2));
        check(Framing::Line(8), b"1234567\n", false, whole(0, 8));
        check(Framing::Line(8), b"12345678\n", false, Frame::TooLong(8));
        check(Framing::Line(8), b"12345678", true, Frame::TooLong(8));
        check(Framing::Line(80), b"1234567890", false, Frame::TooLong(10));
    }

    #[test]
    fn the_length_field_marks_the_end_of_a_packet() {
        check(Framing::Packet(2), b"\0", false, Frame::More);
        check(Framing::Packet(2), b"\0\x02a", false, Frame::More);
        check(Framing::Packet(2), b"\0\x02a", true, Frame::More);
        check(Framing::Packet(2), b"\0\x02abc", false, whole(2, 2));
        check(Framing::Packet(1), b"\0", false, whole(1, 0));
        check(Framing::Packet(4), b"\0\0\0\x07", false, Frame::TooLong(6));
    }

    #[test]
    fn a_length_is_written_in_its_width_or_refused() {
        assert_eq!(head(Framing::Raw, 5), Some(vec![]));
        assert_eq!(head(Framing::Packet(2), 258), Some(vec![1, 2]));
        assert_eq!(head(Framing::Packet(1), 256), None);
        assert_eq!(head(Framing::Packet(4), 1), Some(vec![0, 0, 0, 1]));
        assert_eq!(head(Framing::Packet(9), 1), None);
    }
}
