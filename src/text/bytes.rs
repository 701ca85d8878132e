//! Sizes as people write them: `512MiB`.

/// Reads a whole number with a unit, `KiB`, `MiB` or `GiB`, or without one for bytes.
///
/// # Errors
/// Says how to write one.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let refused = || {
        let text = text.escape_debug();
        format!("`{text}` is not a size: write a number above 0 and a unit, KiB, MiB or GiB, such as 512MiB")
    };
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(refused()),
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    size.filter(|size| *size > 0).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn size_is_a_number_and_a_unit() {
        for (text, size) in [("1GiB", 1 << 30), ("512MiB", 512 << 20), ("3KiB", 3_072), ("9", 9), ("9B", 9)] {
            assert_eq!(parse(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_how_to_write_one() {
        for text in ["", "GiB", "0", "1GB", "1.5GiB", "-1", "18446744073709551615KiB"] {
            let said = parse(text).expect_err("no size");
            assert!(said.starts_with(&format!("`{text}` is not a size: write a number above 0 and a unit")), "{said}");
        }
    }
}
