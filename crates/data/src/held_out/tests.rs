use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::*;
use crate::sets::digits::{self, DigitsConfig};
use crate::{Combination, Factor, Factors, Split};

fn digits() -> (Factors, Vec<Combination>) {
    let factors = digits::factors(DigitsConfig::default()).unwrap();
    let combinations = factors.combinations().collect();
    (factors, combinations)
}

fn cells(share: f64, seed: u64) -> HeldOut {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let (of, content) = (names(&["digit", "style", "transform"]), names(&["digit", "style"]));
    HeldOut { name: "cells".to_owned(), rule: Rule::Share(Share { of, share, content, seed }) }
}

fn of_kind(combination: &Combination, places: &[usize]) -> Vec<usize> {
    places.iter().map(|&place| combination[place]).collect()
}

#[test]
fn where_leaves_the_other_factors_free() {
    let (factors, combinations) = digits();
    let levels: BTreeMap<String, LevelName> =
        [("digit".to_owned(), "7".into()), ("transform".to_owned(), "mirror-x".into())].into();
    let found = select_where("x", &levels, &factors, &combinations).unwrap();
    assert_eq!(found.len(), 30); // 10 styles · 3 colours
    assert!(found.iter().all(|&index| combinations[index][0] == 7 && combinations[index][3] == 4));
    // The same by the arithmetic of numbers: ((7 · 10 + style) · 3 + colour) · 6 + 4.
    let expected: Vec<usize> = (0..30).map(|k| (7 * 30 + k) * 6 + 4).collect();
    assert_eq!(found, expected);
}

fn listed(cells: &[&str]) -> HeldOut {
    HeldOut { name: "few".to_owned(), rule: Rule::Listed(cells.iter().map(|&cell| cell.to_owned()).collect()) }
}

#[test]
fn a_list_holds_out_what_each_of_its_cells_names_and_no_more() {
    let (factors, combinations) = digits();
    let cells = ["transform=rotate-90 digit=2 style=4 colour=red", "digit=7 style=9", "digit=7 transform=mirror-x"];
    let split = Split::new(&factors, &combinations, &[listed(&cells)]).unwrap();
    // ((digit · 10 + style) · 3 + colour) · 6 + transform: one image, the 18 of digit 7 in style 9, and the 30 of
    // digit 7 upside down, three of which are among the 18.
    let mut expected = vec![((2 * 10 + 4) * 3) * 6 + 1];
    expected.extend((0..180).filter(|k| k / 18 == 9 || k % 6 == 4).map(|k| 7 * 180 + k));
    assert_eq!(expected.len(), 1 + 18 + 30 - 3);
    assert_eq!(split.indices("few").unwrap(), expected);
    assert_eq!(split.train.len(), 1_800 - 46);
}

#[test]
fn a_list_is_applied_before_shares_are_drawn() {
    let (factors, combinations) = digits();
    let list = listed(&["digit=7 style=9"]);
    let split = |rules: &[HeldOut]| Split::new(&factors, &combinations, rules).unwrap();
    let (first, last) = (split(&[list.clone(), cells(0.3, 1)]), split(&[cells(0.3, 1), list]));
    assert_eq!((first.indices("cells"), &first.train), (last.indices("cells"), &last.train));
}

#[test]
fn shares_hold_out_whole_cells_and_leave_something_of_everything() {
    let (factors, combinations) = digits();
    for share in [0.01, 0.3, 0.5, 0.7, 0.8] {
        for seed in 0..12 {
            let split = Split::new(&factors, &combinations, &[cells(share, seed)]).unwrap();
            let held_out = split.indices("cells").unwrap();
            // 600 cells of three colours each.
            assert_eq!(held_out.len(), (share * 600.0_f64).round() as usize * 3, "share {share}, seed {seed}");
            assert_eq!(held_out.len() + split.train.len(), 1_800);
            let cell_of = |index: &usize| of_kind(&combinations[*index], &[0, 1, 3]);
            let held_cells: BTreeSet<_> = held_out.iter().map(cell_of).collect();
            let train_cells: BTreeSet<_> = split.train.iter().map(cell_of).collect();
            assert!(held_cells.is_disjoint(&train_cells));
            for (place, factor) in factors.iter().enumerate() {
                let levels: BTreeSet<_> = split.train.iter().map(|&index| combinations[index][place]).collect();
                assert_eq!(levels.len(), factor.n_levels(), "{}", factor.name);
            }
            let contents: BTreeSet<_> =
                split.train.iter().map(|&index| of_kind(&combinations[index], &[0, 1])).collect();
            assert_eq!(contents.len(), 100, "share {share}, seed {seed}");
        }
    }
}

#[test]
fn beyond_what_every_content_can_keep_as_many_as_possible_keep_one() {
    let (factors, combinations) = digits();
    for seed in 0..6 {
        let split = Split::new(&factors, &combinations, &[cells(0.9, seed)]).unwrap();
        // 60 cells stay, so at best 60 of the 100 contents.
        let contents: BTreeSet<_> = split.train.iter().map(|&index| of_kind(&combinations[index], &[0, 1])).collect();
        assert_eq!((split.train.len(), contents.len()), (180, 60));
    }
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let (factors, combinations) = digits();
    let split = |seed| Split::new(&factors, &combinations, &[cells(0.3, seed)]).unwrap();
    assert_eq!(split(4), split(4));
    assert_ne!(split(4).train, split(5).train);
}

#[test]
fn cells_are_drawn_evenly() {
    // Over many seeds each of 600 cells is held out in about 30 % of the draws: 200 draws, mean 60, standard
    // deviation √(200 · 0.3 · 0.7) ≈ 6.5, and no cell beyond 5.5 of these.
    let (factors, combinations) = digits();
    let mut counts = vec![0_u32; combinations.len()];
    for seed in 0..200 {
        let split = Split::new(&factors, &combinations, &[cells(0.3, seed)]).unwrap();
        split.indices("cells").unwrap().iter().for_each(|&index| counts[index] += 1);
    }
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least >= 24 && *most <= 96, "{least} … {most}");
}

#[test]
fn a_share_counts_on_nothing_that_another_rule_holds_out() {
    // Two by two cells; another rule takes (0, 0). Of the three that are left, level 0 of each factor has one cell.
    // Half of four cells may be held out: (1, 1), which nothing needs, and (0, 0), of which nothing is left anyway.
    let factors = Factors::new(vec![Factor::numbered("a", 2), Factor::numbered("b", 2)]).unwrap();
    let combinations: Vec<Combination> = factors.combinations().collect();
    let share = Share { of: vec!["a".into(), "b".into()], share: 0.5, content: vec![], seed: 0 };
    for seed in 0..20 {
        let mut rng = crate::randomness::keyed_rng(seed, "test", 0);
        let held_out = [true, false, false, false];
        let found = select_share("x", &share, &factors, &combinations, &held_out, &mut rng).unwrap();
        assert_eq!(found, [0, 3]);
    }
}

#[test]
fn impossible_rules_are_refused_with_the_reason() {
    let (factors, combinations) = digits();
    let message = |rule: HeldOut| {
        let message = Split::new(&factors, &combinations, &[rule]).unwrap_err().to_string();
        assert!(message.starts_with("held-out set `") && !message.contains('\n'), "{message}");
        message
    };
    for share in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
        assert!(message(cells(share, 0)).contains("expected one above 0 and below 1"));
    }
    assert!(message(cells(0.0001, 0)).contains("raise the share"));
    assert!(message(cells(0.995, 0)).contains("lower the share"));
    let share = |of: &[&str], content: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let rule = Rule::Share(Share { of: names(of), share: 0.3, content: names(content), seed: 0 });
        HeldOut { name: "x".to_owned(), rule }
    };
    assert!(message(share(&[], &[])).contains("names no factor"));
    assert!(message(share(&["digit", "digit"], &[])).contains("`digit` twice"));
    assert!(message(share(&["digit"], &["style"])).contains("`content` names `style`"));
    assert!(message(share(&["slant"], &[])).contains("there is no factor `slant`"));
    let levels = |levels: &[(&str, &str)]| HeldOut {
        name: "x".to_owned(),
        rule: Rule::Where(levels.iter().map(|&(factor, level)| (factor.to_owned(), level.into())).collect()),
    };
    assert!(message(levels(&[])).contains("names no level"));
    assert!(message(levels(&[("digit", "11")])).contains("no level `11`; its levels are 0, 1, 2"));
    assert!(message(levels(&[("slant", "1")])).contains("there is no factor `slant`"));
    assert!(message(levels(&[("digit", "7")])).contains("digit=7"));
    assert!(message(listed(&[])).contains("lists no cell"));
    assert!(message(listed(&["digit=7 style=1", " "])).contains("a cell without levels"));
    assert!(message(listed(&["digit=7 style=1", "style=1 digit=7"])).contains("`style=1 digit=7` twice"));
    assert!(message(listed(&["digit=7 digit=7"])).contains("the factor `digit` twice"));
    assert!(message(listed(&["digit 7"])).contains("expected factor=level"));
    assert!(message(listed(&["slant=1"])).contains("there is no factor `slant`"));
    assert!(message(listed(&["digit=11"])).contains("no level `11`"));
    assert!(message(listed(&["digit=7"])).contains("leaves no training image of digit=7"));
    let few = combinations[..1_000].to_vec();
    let error = Split::new(&factors, &few, &[listed(&["digit=1 style=1", "digit=9 style=9"])]).unwrap_err();
    assert!(error.to_string().contains("no image has all levels of `digit=9 style=9`"), "{error}");
}

#[test]
fn rules_are_read_from_and_written_to_toml() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Config {
        held_out: Vec<HeldOut>,
    }
    let text = r#"
        [[held_out]]
        name = "result-3"
        where = { digit = 7, style = "9", transform = "mirror-x" }
        [[held_out]]
        name = "few"
        listed = ["digit=7 style=9"]
        [[held_out]]
        name = "cells"
        share = { of = ["digit", "style", "transform"], share = 0.3, content = ["digit", "style"], seed = 5 }
    "#;
    let config: Config = toml::from_str(text).unwrap();
    assert_eq!(config.held_out, [digits::held_out()[1].clone(), listed(&["digit=7 style=9"]), cells(0.3, 5)]);
    assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
    let refused = |text: &str| toml::from_str::<Config>(text).unwrap_err().to_string();
    assert!(refused("[[held_out]]\nname = \"x\"").contains("has none of `where`, `listed`, `share` and `all_but`"));
    assert!(refused("[[held_out]]\nname = \"x\"\nwhere.digit = 7\nwher.digit = 7").contains("unknown field `wher`"));
    assert!(refused("[[held_out]]\nname = \"x\"\nwhere.digit = true").contains("the name or the number of a level"));
    assert!(
        refused("[[held_out]]\nname = \"x\"\nwhere.digit = 7\nshare = { of = [], share = 0.1, seed = 0 }")
            .contains("has `where` and `share`; keep one")
    );
    assert!(
        refused("[[held_out]]\nname = \"x\"\nwhere.digit = 7\nlisted = [\"digit=7\"]")
            .contains("has `where` and `listed`; keep one")
    );
}
