//! Whole numbers with their thousands marked, padded as Java's `%0,4d` pads them.

/// `number` with a comma before every third digit from the right, padded on the left with zeros to
/// at least `width` characters, commas counted; a width of 0 only groups.
///
/// This is what Java's `String.format("%0,4d", number)` gives: padding zeros are not grouped among
/// themselves, so `grouped(42, 6)` is `000042`. Allocates one string.
///
/// ```
/// use weir::prelude::grouped;
/// assert_eq!(grouped(1_234, 0), "1,234");
/// assert_eq!(grouped(42, 4), "0042");
/// assert_eq!(grouped(1_234, 4), "1,234");
/// ```
#[must_use]
pub fn grouped(number: u64, width: usize) -> String {
    let digits = number.to_string();
    let length = digits.len() + (digits.len() - 1) / 3;
    let mut text = String::with_capacity(width.max(length));
    for _ in length..width {
        text.push('0');
    }
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 7, 999, 1_000, 12_345, 1_234_567].map(|n| grouped(n, 0));
        assert_eq!(shown, ["0", "7", "999", "1,000", "12,345", "1,234,567"].map(String::from));
        assert_eq!(grouped(u64::MAX, 0), "18,446,744,073,709,551,615");
    }

    #[test]
    fn zeros_fill_the_width_and_are_not_grouped() {
        // From Java: String.format("%0,4d", 42), ("%0,4d", 1234), ("%0,4d", 999), ("%0,8d", 1234).
        assert_eq!(grouped(42, 4), "0042");
        assert_eq!(grouped(1_234, 4), "1,234");
        assert_eq!(grouped(999, 4), "0999");
        assert_eq!(grouped(1_234, 8), "0001,234");
        assert_eq!(grouped(0, 4), "0000");
    }
}
