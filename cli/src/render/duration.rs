//! Durations with three figures and a fitting unit.

/// Formats microseconds with three figures, in the unit that makes the number short.
pub(crate) fn us(us: u64) -> String {
    // The value is rounded anyway, so the loss of precision does not matter.
    let float = us as f64;
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{} ms", three_figures(float / 1e3)),
        1_000_000..120_000_000 => format!("{} s", three_figures(float / 1e6)),
        120_000_000..7_200_000_000 => format!("{} min", three_figures(float / 6e7)),
        _ => format!("{} h", three_figures(float / 3.6e9)),
    }
}

fn three_figures(number: f64) -> String {
    let places = if number < 9.995 {
        2
    } else if number < 99.95 {
        1
    } else {
        0
    };
    format!("{number:.places$}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_duration_has_three_figures_and_the_unit_that_fits() {
        let cases = [
            (0, "0 us"),
            (999, "999 us"),
            (1_000, "1.00 ms"),
            (12_340, "12.3 ms"),
            (250_000, "250 ms"),
            (1_850_000, "1.85 s"),
            (119_000_000, "119 s"),
            (120_000_000, "2.00 min"),
            (36_000_000_000, "10.0 h"),
        ];
        for (us, expected) in cases {
            assert_eq!(super::us(us), expected);
        }
    }
}
