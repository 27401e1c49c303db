//! The name that was meant by a word that is none.

/// The name with the smallest edit distance, if it is near enough to have been meant.
pub(super) fn nearest(word: &str, names: &[String]) -> Option<String> {
    let endings = names.iter().flat_map(|name| {
        let after_set = name.split_once('-').map_or(name.as_str(), |(_, ending)| ending);
        [(edit_distance(word, name), name), (edit_distance(word, after_set), name)]
    });
    endings.min().filter(|(distance, _)| *distance <= 1 + word.chars().count() / 3).map(|(_, name)| name.clone())
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", "abc"), 0);
    }

    #[test]
    fn the_nearest_name_is_suggested_and_nonsense_is_not() {
        let names = ["digits-result-1", "digits-holdout-30"].map(str::to_owned);
        assert_eq!(nearest("digits-reslt-1", &names).as_deref(), Some("digits-result-1"));
        assert_eq!(nearest("holdout30", &names).as_deref(), Some("digits-holdout-30"));
        assert_eq!(nearest("faces", &names), None);
    }
}
