//! One figure.

use serde_json::{Map, Value, json};

/// Prints the least, the median and the greatest sample as one JSON line.
///
/// # Panics
/// When `parameters` is not an object or there is no sample.
pub(crate) fn print(bench: &str, parameters: &Value, unit: &str, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    let round = |sample: f64| (sample * 1000.0).round() / 1000.0;
    let mut line = Map::from_iter([("peer".to_owned(), json!("reld")), ("bench".to_owned(), json!(bench))]);
    line.extend(parameters.as_object().expect("parameters are an object").clone());
    for (name, value) in [
        ("unit", json!(unit)),
        ("reps", json!(samples.len())),
        ("min", json!(round(samples[0]))),
        ("median", json!(round(percentile(&samples, 50)))),
        ("max", json!(round(samples[samples.len() - 1]))),
    ] {
        line.insert(name.to_owned(), value);
    }
    println!("{}", Value::Object(line));
}

/// Returns the sample at a percentile.
pub(crate) fn percentile(sorted: &[f64], per_cent: usize) -> f64 {
    sorted[(sorted.len() - 1) * per_cent / 100]
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!([0, 50, 99, 100].map(|at| percentile(&sorted, at)), [0.0, 50.0, 99.0, 100.0]);
        assert_eq!(percentile(&[7.0], 99), 7.0);
    }
}
