//! The nearest right name to a wrong one, so that a slip of the finger is answered with the cure.

/// The one of `known` that is fewest edits from `given`, if it is near enough to be meant.
///
/// An edit is a letter put in, left out or changed, or two neighbours swapped; near enough is a
/// third of the longer name, at least one and at most three edits. The first of equals wins.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let distance = edits(&given, name);
        let bound = (given.chars().count().max(name.chars().count()) / 3).clamp(1, 3);
        if distance <= bound && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Optimal string alignment distance. Source: Damerau (1964), restricted to adjacent swaps.
fn edits(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let width = to.len() + 1;
    let mut rows = vec![0; (from.len() + 1) * width];
    rows[..width].iter_mut().enumerate().for_each(|(column, edits)| *edits = column);
    for row in 1..=from.len() {
        rows[row * width] = row;
        for column in 1..width {
            let changed = usize::from(from[row - 1] != to[column - 1]);
            let mut least = (rows[(row - 1) * width + column - 1] + changed)
                .min(rows[(row - 1) * width + column] + 1)
                .min(rows[row * width + column - 1] + 1);
            let swapped = row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            if swapped {
                least = least.min(rows[(row - 2) * width + column - 2] + 1);
            }
            rows[row * width + column] = least;
        }
    }
    rows[rows.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn edits_count_insertions_deletions_changes_and_swaps() {
        assert_eq!(edits("stream", "stream"), 0);
        assert_eq!(edits("stram", "stream"), 1);
        assert_eq!(edits("strems", "stream"), 2);
        assert_eq!(edits("straem", "stream"), 1);
        assert_eq!(edits("", "lag"), 3);
    }

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let known = ["type", "stream", "start", "timestamps", "lag"];
        assert_eq!(nearest("stram", known), Some("stream"));
        assert_eq!(nearest("Timestamp", known), Some("timestamps"));
        assert_eq!(nearest("tpye", known), Some("type"));
        assert_eq!(nearest("parallelism", known), None);
    }
}
