//! The order of a factor's levels: numbers by value, then names, in which runs of digits count by value too, so that
//! `person-2` comes before `person-10`.

use std::cmp::Ordering;

/// Compares two levels' names; no two different ones are equal.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let by_kind = match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => by_parts(a, b),
    };
    by_kind.then_with(|| a.cmp(b))
}

/// The number that a text is, if it is written in digits: `inf` and `nan` are names.
fn number(text: &str) -> Option<f64> {
    let number =
        text.parse().ok().filter(|number: &f64| number.is_finite() && text.contains(|c: char| c.is_ascii_digit()))?;
    // −0 and 0 are one number.
    Some(number + 0.0)
}

fn by_parts(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() && !b.is_empty() {
        let ((part_a, rest_a), (part_b, rest_b)) = (first_part(a), first_part(b));
        let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
        let order = if is_number(part_a) && is_number(part_b) {
            // Digits of any number: without leading zeros the longer one is greater.
            let [a, b] = [part_a, part_b].map(|part| part.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            part_a.cmp(part_b)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

/// The digits that a text begins with and what follows, or what comes before its first digit and the rest.
fn first_part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str) -> String {
        let mut names: Vec<&str> = text.split(' ').collect();
        names.reverse();
        names.sort_by(|a, b| natural(a, b));
        names.join(" ")
    }

    #[test]
    fn numbers_by_value_names_by_name_and_digits_within_names_by_value() {
        for levels in [
            "-90 -1.5 0 2 10 1e2",
            "1 2 3 a b",
            "blue green red",
            "person-1 person-2 person-10 person-10a person-11",
            "a a1 a01x a2 b",
            "s99999999999999999999998 s99999999999999999999999",
            "5 inf nan",
        ] {
            assert_eq!(sorted(levels), levels);
        }
        // Names of one value still have an order.
        assert_eq!(natural("01", "1"), Ordering::Less);
        assert_eq!(natural("a1", "a01"), Ordering::Greater);
        assert_eq!(natural("x", "x"), Ordering::Equal);
    }

    #[test]
    fn the_order_is_one_whatever_is_compared_with_what() {
        let names =
            ["", "-0", "0", "00", "1", "1.0", "a", "a0", "a00", "a1", "a1b", "0a", "1a", "ä", "inf", "-5", "A1"];
        for a in names {
            for b in names {
                assert_eq!(natural(a, b), natural(b, a).reverse(), "{a} {b}");
                for c in names {
                    if natural(a, b) == Ordering::Less && natural(b, c) == Ordering::Less {
                        assert_eq!(natural(a, c), Ordering::Less, "{a} {b} {c}");
                    }
                }
            }
        }
    }
}
