use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;

/// A folder with pictures and a table.
struct Made {
    folder: TempDir,
}

impl Made {
    /// Pictures of one colour each, named by it: `3.png` has the value 3 in every channel and pixel.
    fn new(table: &str, values: &[u8], side: u32) -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(made.path("pictures")).unwrap();
        values.iter().for_each(|&value| made.picture(&format!("{value}.png"), value, (side, side)));
        made.table(table);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn table(&self, text: &str) {
        std::fs::write(self.path("labels.csv"), text).unwrap();
    }

    fn picture(&self, name: &str, value: u8, (width, height): (u32, u32)) {
        let path = self.path("pictures").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(width, height, Rgb([value; 3])).save(path).unwrap();
    }

    fn config(&self) -> CustomConfig {
        CustomConfig::new("pictures", "labels.csv").relative_to(self.folder.path())
    }

    /// Why it is refused: the check lists it, and building says the first one.
    fn refusals(&self, config: &CustomConfig) -> Vec<String> {
        let built = build(config).unwrap_err().to_string();
        let problems: Vec<String> = match check(config) {
            Ok(report) => report.problems().iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        assert!(built.starts_with(&problems[0]), "{built}\n{problems:?}");
        assert_eq!(built.ends_with("`cargo xtask data check` lists them"), problems.len() > 1, "{built}");
        problems.iter().chain([&built]).for_each(|line| assert!(!line.contains('\n'), "{line}"));
        problems
    }

    /// The only reason.
    fn refusal(&self, config: &CustomConfig) -> String {
        let mut problems = self.refusals(config);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.pop().unwrap()
    }
}

/// Four pictures: two persons, two feelings.
const FOUR: &str = "image,person,mood\n1.png,10,glad\n2.png,10,sad\n3.png,9,glad\n4.png,9,sad\n";

fn says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "'{part}' is not in: {text}"));
}

#[test]
fn a_set_is_its_pictures_in_the_order_of_their_combinations() {
    let made = Made::new(FOUR, &[1, 2, 3, 4], 16);
    let custom = build(&made.config()).unwrap();
    // 9 comes before 10.
    assert_eq!(custom.set.factors.as_slice()[0].levels, ["9", "10"]);
    assert_eq!((custom.set.len(), custom.set.channels, custom.set.height, custom.set.width), (4, 3, 16, 16));
    for (index, value) in [3.0, 4.0, 1.0, 2.0].iter().enumerate() {
        assert_eq!(custom.set.image(index).unwrap(), [value / 255.0; 768]);
    }
    assert_eq!(custom.set.label(0).unwrap(), "person=9 mood=glad");
    let table = made.path("labels.csv");
    assert_eq!(custom.note, format!("4 images of factors person 2, mood 2 from {}, 16×16", table.display()));
    assert!(custom.held_out.is_empty());
    let report = check(&made.config()).unwrap();
    assert!(report.problems().is_empty(), "{report}");
    says(
        &report.to_string(),
        &[
            "4 rows, 4 usable",
            "person    2 levels, pictures of each: 9 2, 10 2",
            "each has a picture",
            "16×16 4",
            "train 4",
            "4 images of 16×16, 13 kB",
            "[dataset]\nimages = ",
        ],
    );
}

#[test]
fn names_of_files_and_the_order_of_rows_say_nothing() {
    let made = Made::new(
        "image,person,mood,split\n1.png,10,glad,b\n2.png,10,sad,\n3.png,9,glad,\n4.png,9,sad,a\n",
        &[1, 2, 3, 4],
        16,
    );
    let first = build(&made.config()).unwrap();
    assert_eq!(build(&made.config()).unwrap(), first);
    let words: Vec<&str> = first.held_out.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(words, ["a", "b"]);
    // Other names, another order of rows, other ways to write the table.
    std::fs::rename(made.path("pictures/4.png"), made.path("pictures/four.png")).unwrap();
    made.table(
        "\u{feff}image ; person; mood;split\r\n\"four.png\";9;sad;a\r\n\r\n2.png;10;sad;\r\n3.png;9; glad;\r\n1.png;10;glad;b",
    );
    assert_eq!(build(&made.config()).unwrap(), first);
}

#[test]
fn a_set_need_not_have_every_combination_and_the_missing_ones_are_listed() {
    let mut table = "file,a,b\n".to_owned();
    // The diagonal of 6 × 6: 36 − 6 = 30 are missing, 20 of them listed.
    (0..6).for_each(|k| table.push_str(&format!("{k}.png,a{k},b{k}\n")));
    let made = Made::new(&table, &[0, 1, 2, 3, 4, 5], 16);
    assert_eq!(build(&made.config()).unwrap().set.len(), 6);
    let text = check(&made.config()).unwrap().to_string();
    says(
        &text,
        &["36 possible, 30 without a picture", "a=a0 b=b1\n", "and 10 more", "a: every picture has a level of its own"],
    );
    assert_eq!(text.lines().filter(|line| line.trim().starts_with("a=")).count(), 20, "{text}");
}

#[test]
fn transforms_turn_every_picture() {
    let made = Made::new(FOUR, &[1, 2, 3, 4], 16);
    let mut picture = RgbImage::from_pixel(16, 16, Rgb([3; 3]));
    picture.put_pixel(15, 0, Rgb([255, 0, 0])); // The top right corner.
    picture.save(made.path("pictures/3.png")).unwrap();
    let custom = build(&CustomConfig { transforms: 8, ..made.config() }).unwrap();
    assert_eq!(custom.set.factors.n_levels(), [2, 2, 8]);
    assert_eq!(
        (custom.set.len(), custom.set.label(1).unwrap().as_str()),
        (32, "person=9 mood=glad transform=rotate-90")
    );
    let red_corner = |index: usize| custom.set.image(index).unwrap()[..256].iter().position(|&red| red == 1.0);
    // Unchanged, counter-clockwise by 90, 180 and 270 degrees: top right, top left, bottom left, bottom right.
    assert_eq!([0, 1, 2, 3].map(red_corner), [Some(15), Some(0), Some(240), Some(255)]);
    assert_eq!(red_corner(8), None);
    for transforms in [0, 2, 5, 9] {
        let message = made.refusal(&CustomConfig { transforms, ..made.config() });
        assert_eq!(message, format!("transforms = {transforms}: expected 1, 4, 6 or 8"));
    }
    made.table(&FOUR.replace("mood", "transform"));
    assert!(build(&made.config()).is_ok());
    let message = made.refusal(&CustomConfig { transforms: 4, ..made.config() });
    says(&message, &["no column `transform`", "rename the column"]);
}

#[test]
fn a_column_split_holds_out_what_it_says() {
    let table = "image,Split,person,mood\n1.png,,10,glad\n2.png,my test,10,sad\n3.png,Train,9,glad\n4.png,train,9,sad\n\
                 5.png,val,11,glad\n6.png,train,11,sad\n";
    let made = Made::new(table, &[1, 2, 3, 4, 5, 6], 16);
    for transforms in [1, 6] {
        let custom = build(&CustomConfig { transforms, ..made.config() }).unwrap();
        let names: Vec<&str> = custom.held_out.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["my-test", "val"]);
        assert_eq!(custom.held_out[0].rule, Rule::Listed(vec!["person=10 mood=sad".to_owned()]));
        let split = Split::new(&custom.set.factors, &custom.set.combinations, &custom.held_out).unwrap();
        // Every transform of a picture is held out with it.
        assert_eq!(split.indices("my-test").unwrap().len(), transforms);
        assert_eq!(split.train.len(), 4 * transforms);
    }
    says(&check(&made.config()).unwrap().to_string(), &["train 4, my-test 1, val 1"]);

    // A level that training never sees is refused here as everywhere.
    made.table(&table.replace("6.png,train", "6.png,val"));
    says(&made.refusal(&made.config()), &["held-out set `val`", "leaves no training image of person=11"]);
}

#[test]
fn names_with_spaces_become_words_and_paths_may_be_anywhere() {
    let made = Made::new("", &[1], 16);
    made.picture("sub/folder/2.png", 2, (16, 16));
    made.picture("a, b.png", 3, (16, 16));
    let elsewhere = made.path("4.png");
    RgbImage::from_pixel(16, 16, Rgb([4; 3])).save(&elsewhere).unwrap();
    made.table(&format!(
        "hair colour,Path,note\nlight  brown,./1.png,x\nlight  brown,sub\\folder\\2.png,y\ndark,\"a, b.png\",x\ndark,{},y\n",
        elsewhere.display()
    ));
    let custom = build(&made.config()).unwrap();
    assert_eq!(custom.set.label(3).unwrap(), "hair-colour=light-brown note=y");
    assert_eq!([0, 1, 2, 3].map(|index| (custom.set.image(index).unwrap()[0] * 255.0).round()), [3.0, 4.0, 1.0, 2.0]);
    assert!(check(&made.config()).unwrap().problems().is_empty());

    let other = CustomConfig { image_column: Some("Path".to_owned()), ..made.config() };
    assert_eq!(build(&other).unwrap(), custom);
    made.table("image,person,mood,photo\n1,10,glad,1.png\n2,10,sad,sub/folder/2.png\n");
    let photo = CustomConfig { image_column: Some("photo".to_owned()), ..made.config() };
    assert_eq!(build(&photo).unwrap().set.factors.n_levels(), [2, 1, 2]);
    let none = CustomConfig { image_column: Some("picture".to_owned()), ..made.config() };
    says(&made.refusal(&none), &["a column `picture`", "found the columns image, person, mood, photo"]);
}

#[test]
fn pictures_of_several_sizes_need_a_size_and_oblong_ones_a_crop() {
    let made = Made::new(FOUR, &[1, 2, 3, 4], 16);
    made.picture("2.png", 2, (32, 32));
    says(&made.refusal(&made.config()), &["pictures of one size", "found 3 of 16×16, 1 of 32×32 pixels", "`size`"]);
    let of = |size| CustomConfig { size: Some(size), ..made.config() };
    assert_eq!(build(&of(24)).unwrap().set.images[0], 3.0 / 255.0);
    says(&check(&of(24)).unwrap().to_string(), &["16×16 3, 32×32 1", "3 of the pictures are smaller than 24 pixels"]);
    for size in [0, 15, 257] {
        assert_eq!(made.refusal(&of(size)), format!("size = {size}: expected 16 to 256 pixels"));
    }

    // Twelve by eight: white in the middle, black for two pixels at either side.
    let oblong = RgbImage::from_fn(24, 16, |x, _| Rgb([if (4..20).contains(&x) { 255 } else { 0 }; 3]));
    oblong.save(made.path("pictures/2.png")).unwrap();
    let message = made.refusal(&made.config());
    says(&message, &["2.png: expected a square picture, found 24×16 pixels", "crop = \"centre\""]);
    let cropped = CustomConfig { crop: Some(Crop::Centre), ..made.config() };
    let custom = build(&cropped).unwrap();
    assert_eq!((custom.set.width, custom.set.image(3).unwrap()), (16, [1.0; 768].as_slice()));
    assert!(check(&cropped).unwrap().problems().is_empty());

    let tiny = Made::new(FOUR, &[1, 2, 3, 4], 15);
    says(&tiny.refusal(&tiny.config()), &["pictures of 16 to 256 pixels", "a side of 15"]);
}

#[test]
fn every_problem_is_listed_and_building_names_the_first() {
    let made = Made::new("", &[1, 2, 3], 16);
    std::fs::write(made.path("pictures/broken.png"), &std::fs::read(made.path("pictures/1.png")).unwrap()[..50])
        .unwrap();
    std::fs::write(made.path("pictures/text.jpg"), "no picture").unwrap();
    made.picture("Spare.PNG", 9, (16, 16));
    made.table(
        "image,person,mood\n1.png,1,glad\n2.png,1,glad\n3.png,,\n,2,sad\n3.png,2\nspare.png,2,sad\nbroken.png,3,sad\n\
         text.jpg,3,glad\n1.png,4,sad\n",
    );
    let problems = made.refusals(&made.config());
    let all = problems.join("\n");
    says(
        &all,
        &[
            "expected one picture per combination of levels, found 1.png (line 2) and 2.png (line 3) for person=1 mood=glad; \
             add a column that tells them apart",
            "a level of `person` in line 4, found an empty field",
            "a level of `mood` in line 4",
            "a picture's name in line 5",
            "3 fields in line 6",
            "the picture spare.png (line 7)",
            "no such file but Spare.PNG",
            "broken.png: expected a PNG or JPEG picture",
            "text.jpg: expected a PNG or JPEG picture",
            "every picture once, found 1.png (line 2) and 1.png (line 10)",
        ],
    );
    assert_eq!(problems.len(), 9, "{all}");
    let text = check(&made.config()).unwrap().to_string();
    says(
        &text,
        &["9 rows, 6 usable", "2 pictures in the folder that no usable row", "Spare.PNG", "next: mend the 9 problems"],
    );
    problems.iter().for_each(|problem| says(&text, &[problem]));
}

#[test]
fn a_picture_that_is_broken_behind_its_size_is_found_by_decoding_it() {
    let made = Made::new(FOUR, &[1, 2, 3, 4], 64);
    for name in ["2.png", "3.png"] {
        let path = made.path("pictures").join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    }
    let problems = made.refusals(&made.config());
    assert_eq!(problems.len(), 2, "{problems:?}");
    says(&problems[0], &["3.png: expected a PNG or JPEG picture"]);
}

#[test]
fn tables_that_cannot_be_a_set_are_refused() {
    let made = Made::new("", &[1, 2], 16);
    for (table, expected) in [
        ("picture,hue\n1.png,red\n", "called image or file or path, found the columns picture, hue"),
        ("image,split\n1.png,train\n", "a column for each factor"),
        ("image,hue\n", "a line for every picture, found the heading alone"),
        ("image,hue,\n1.png,red,big\n", "a name for every column, found none for column 3"),
        ("image,hue (deg)\n1.png,3\n", "letters, digits, - and _, found `hue-(deg)`"),
        ("image,hue,hue\n1.png,3,4\n", "`hue` twice"),
        ("image,hue\n1.png,dark red\n2.png,dark-red\n", "found `dark red` and `dark-red`; write them alike"),
        ("", "a table with a heading, found an empty file"),
    ] {
        made.table(table);
        let problems = made.refusals(&made.config());
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
    }
    // A column that is not there at all does not matter.
    made.table("image,hue,\n1.png,red,\n2.png,blue,\n");
    assert_eq!(build(&made.config()).unwrap().set.factors.len(), 1);
    // Ten columns with thirteen levels each have 13^10 = 1.4e11 combinations.
    let mut table = "image,a,b,c,d,e,f,g,h,i,j\n".to_owned();
    (0..13).for_each(|k| table.push_str(&format!("{k}.png{}\n", format!(",{k}").repeat(10))));
    made.table(&table);
    says(&made.refusal(&made.config()), &["at most 1000000000 combinations", "take out columns that are no factors"]);
}

#[test]
fn what_may_not_be_meant_is_noted() {
    let made = Made::new("", &[1, 2, 3, 4, 5], 16);
    made.picture("2.png", 1, (16, 16));
    made.table(
        "image,set,mood,number,split\n1.png,x,Glad,1,\n2.png,x,glad,1,\n3.png,x,sad,1,\n4.png,x,sad,01,test\n5.png,x,sad,2,test\n",
    );
    let report = check(&made.config()).unwrap();
    assert!(report.problems()[0].to_string().contains("number=01"), "{report}");
    let notes = report.notes().join("\n");
    says(
        &notes,
        &[
            "mood: the levels Glad, glad are different ones",
            "number: the levels 01, 1 are different ones",
            "set: x is its only level",
            "1 pair of pictures with the same pixels: 1.png (line 2) and 2.png (line 3)",
            "mood: 2 levels with fewer than 3 pictures, from which little can be learned: Glad (1), glad (1)",
        ],
    );
    made.table("image,mood,take\n1.png,glad,1\n2.png,glad,2\n3.png,glad,3\n4.png,sad,1\n5.png,sad,2\n");
    assert!(build(&made.config()).is_ok());
}

#[test]
fn a_set_that_memory_does_not_hold_is_refused_before_it_is_read() {
    let made = Made::new(FOUR, &[1, 2, 3, 4], 16);
    // 4 · 8 · 3 · 256² · 4 bytes = 25 MB; 350 times as many pictures 8.8 GB.
    let config = CustomConfig { size: Some(256), transforms: 8, ..made.config() };
    assert_eq!(n_bytes(&config, 4, 256), 25_165_824);
    let mut table = FOUR.to_owned();
    for k in 5..1401 {
        made.picture(&format!("{k}.png"), (k % 256) as u8, (16, 16));
        table.push_str(&format!("{k}.png,{k},calm\n"));
    }
    made.table(&table);
    says(&made.refusal(&config), &["at most 8.0 GB in memory, found 11200 images of 8.8 GB in all", "smaller `size`"]);
}

#[test]
fn settings_are_read_from_an_experiment_and_written_again() {
    let made = Made::new(FOUR, &[1, 2, 3, 4], 16);
    let file = made.path("mine.toml");
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        CustomConfig::from_experiment(&file)
    };
    let short = "title = \"mine\"\n[dataset]\nimages = \"pictures\"\ntable = \"labels.csv\"\n";
    assert_eq!(read(short).unwrap(), made.config());
    let whole = format!("{short}size = 16\nimage_column = \"image\"\ncrop = \"centre\"\ntransforms = 4\n");
    let config = read(&whole).unwrap();
    assert_eq!((config.size, config.crop, config.transforms), (Some(16), Some(Crop::Centre), 4));
    for config in [config, made.config()] {
        let text = format!("[dataset]\n{}", toml::to_string(&config).unwrap());
        assert_eq!(read(&text).unwrap(), config, "absolute places stay what they are");
    }
    for (text, parts) in [
        ("title = \"mine\"\n", ["found none", "give `images`"]),
        ("[dataset]\nimages = \"pictures\"\n", ["in line 1", "missing field `table`"]),
        ("\n[dataset]\nimages = \"a\"\ntable = \"b\"\nsise = 3\n", ["in line 5", "unknown field `sise`"]),
        ("[dataset]\nimages = \"a\"\ntable = \"b\"\ncrop = \"top\"\n", ["in line 4", "unknown variant `top`"]),
        ("[dataset\n", ["in line 1", "mine.toml: expected a table [dataset]"]),
    ] {
        let message = read(text).unwrap_err().to_string();
        says(&message, &parts);
        assert!(!message.contains('\n'), "{message}");
    }
    assert!(CustomConfig::from_experiment(Path::new("/no/mine.toml")).unwrap_err().to_string().starts_with("/no/mine"));
}

#[test]
fn places_that_do_not_exist_are_refused() {
    let made = Made::new(FOUR, &[1, 2, 3, 4], 16);
    let wrong = |images: &str, table: &str| CustomConfig::new(made.path(images), made.path(table));
    says(&made.refusal(&wrong("nowhere", "labels.csv")), &["nowhere: expected a folder of pictures, found nothing"]);
    says(&made.refusal(&wrong("labels.csv", "labels.csv")), &["a folder of pictures, found something else"]);
    says(&made.refusal(&wrong("pictures", "none.csv")), &["none.csv: expected a table of the pictures, found nothing"]);
    says(&made.refusal(&wrong("pictures", "pictures")), &["a table of the pictures, found something else"]);
    std::fs::write(made.path("pictures/inside.csv"), FOUR).unwrap();
    let inside = CustomConfig::new(made.path("pictures"), "inside.csv");
    says(&made.refusal(&inside), &["did you mean", "pictures/inside.csv"]);
}
