//! With made folders: drawn faces on a plain ground in the naming and size of KDEF, which the detector takes for faces.

use std::path::{Path, PathBuf};

use image::imageops;
use image::{ImageFormat, Rgb, RgbImage};

use super::table::{LeftOut, Row};
use super::*;
use crate::sets::faces::{Expression, Photo, named, truth};
use crate::{ImageSet, Split, picture, transforms};

const WIDTH: u32 = 562;
const HEIGHT: u32 = 762;
/// Where the drawn face lies in a made picture, and how large its square is.
const PLACE: [u32; 2] = [150, 200];
const FACE: usize = 260;

fn datasets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets")
}

fn drawn(photo: &Photo) -> RgbImage {
    let pixels = truth(photo.person, photo.expression, photo.session, FACE).unwrap();
    RgbImage::from_fn(FACE as u32, FACE as u32, |x, y| {
        let at = |channel: usize| pixels[channel * FACE * FACE + y as usize * FACE + x as usize];
        Rgb([0, 1, 2].map(|channel| (at(channel) * 255.0).round() as u8))
    })
}

/// A picture in the size of KDEF's with drawn faces at these places.
fn photograph(faces: &[(Photo, [u32; 2])]) -> RgbImage {
    let mut picture = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([96, 104, 112]));
    for (photo, [x, y]) in faces {
        let face = drawn(photo);
        imageops::replace(&mut picture, &face, i64::from(*x), i64::from(*y));
    }
    picture
}

fn save(picture: &RgbImage, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let format = if path.extension().unwrap() == "png" { ImageFormat::Png } else { ImageFormat::Jpeg };
    picture.save_with_format(path, format).unwrap();
}

/// Saves the photograph of each file stem as KDEF does: in a folder of the session and person.
fn kdef(folder: &Path, stems: &[&str]) {
    for stem in stems {
        let names::Name::Photo(photo) = PhotoSet::Kdef.parse(stem) else { panic!("{stem}") };
        save(&photograph(&[(photo, PLACE)]), &folder.join(&stem[..4]).join(format!("{stem}.JPG")));
    }
}

fn run(set: PhotoSet, from: &Path, out: &Path, fresh: bool) -> Result<Report> {
    prepare(&Preparation { set, from, out, fresh }, &datasets(), &|_, _| ())
}

fn one_line<T>(result: Result<T>) -> String {
    let message = result.err().unwrap().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn every_picture_is_in_the_table_with_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    kdef(&from, &["AF01ANS", "BM02NES", "AM05HAS"]);
    let photo = |person, expression| Photo { person, expression, session: 0 };
    let (one, two) = (photo(4, Expression::Sad), photo(3, Expression::Happy));
    save(&photograph(&[(one, [10, 100]), (two, [290, 400])]), &from.join("AM03/AM03SAS.jpeg"));
    save(&photograph(&[]), &from.join("AM03/AM03SUS.JPG"));
    std::fs::copy(from.join("AM05/AM05HAS.JPG"), from.join("AM05HAS.png")).unwrap();
    std::fs::write(from.join("AM03/AM03NES.JPG"), "no picture").unwrap();
    std::fs::write(from.join("AM03/AM03NEFL.JPG"), "not even read").unwrap();
    std::fs::write(from.join("AM03/AM36NES.JPG"), "not even read").unwrap();
    std::fs::write(from.join("AM03/Thumbs.db"), "").unwrap();

    let counted = std::sync::atomic::AtomicUsize::new(0);
    let progress = |done, total| {
        assert!(done <= total && total == 9);
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let report =
        prepare(&Preparation { set: PhotoSet::Kdef, from: &from, out: &out, fresh: false }, &datasets(), &progress);
    let report = report.unwrap();
    assert_eq!((counted.into_inner(), report.n_used(), report.is_new()), (9, 3, true));

    let text = std::fs::read(out.join("table.csv")).unwrap();
    let rows = table::from_csv(&out, &text, "").unwrap();
    let found: Vec<(&str, Option<LeftOut>, Option<usize>)> =
        rows.iter().map(|row| (row.file.as_str(), row.left_out, row.n_faces)).collect();
    assert_eq!(
        found,
        [
            ("AF01/AF01ANS.JPG", None, Some(1)),
            ("AM03/AM03NEFL.JPG", Some(LeftOut::OtherView), None),
            ("AM03/AM03NES.JPG", Some(LeftOut::Unreadable), None),
            ("AM03/AM03SAS.jpeg", Some(LeftOut::SeveralFaces), Some(2)),
            ("AM03/AM03SUS.JPG", Some(LeftOut::NoFace), Some(0)),
            ("AM03/AM36NES.JPG", Some(LeftOut::Name), None),
            ("AM05/AM05HAS.JPG", None, Some(1)),
            ("AM05HAS.png", Some(LeftOut::Repeated), None),
            ("BM02/BM02NES.JPG", None, Some(1)),
        ]
    );
    assert_eq!(rows[0].photo(), Some(Photo { person: 35, expression: Expression::Angry, session: 0 }));
    assert_eq!(rows[8].photo(), Some(Photo { person: 1, expression: Expression::Neutral, session: 1 }));
    // What the name alone decides is not read; what may be used is hashed.
    let hashed: Vec<bool> = rows.iter().map(|row| row.sha256.len() == 64).collect();
    assert_eq!(hashed, [true, false, true, true, true, false, true, false, true]);
    assert_eq!(rows[7].detail, "the same labels as AM05/AM05HAS.JPG");
    for row in [&rows[0], &rows[6], &rows[8]] {
        assert!(row.score.unwrap() >= 10.0, "{row:?}");
        // The features of a drawn face fill some 0.65 of its square and lie around its middle.
        let centre = [row.face_x, row.face_y].map(|edge| edge.unwrap() + row.face_side.unwrap() / 2);
        let middle = PLACE.map(|place| i64::from(place) + FACE as i64 / 2);
        assert!((centre[0] - middle[0]).abs() < 20 && (centre[1] - middle[1]).abs() < 30, "{row:?}");
        assert!((130..220).contains(&row.face_side.unwrap()), "{row:?}");
    }

    let summary = report.to_string();
    says(
        &summary,
        &[
            "kdef from ",
            ": prepared\n  3 photos of 980, 3 persons of 70\n",
            "  neutral      0 in session A   1 in session B\n",
            "  angry        1 in session A   0 in session B\n",
            "left out, other view: 1\n",
            "left out, name not understood: 1: AM03/AM36NES.JPG (number `36`, not 01 to 35)\n",
            "left out, no face found: 1: AM03/AM03SUS.JPG\n",
            "left out, several faces found: 1: AM03/AM03SAS.jpeg (scores ",
            "left out, unreadable: 1: AM03/AM03NES.JPG (",
            "not looked at, no pictures: 1 files\n",
            "missing: 977: AM01NES, BM01NES, AM01DIS, ",
            "and 957 more\n",
        ],
    );
}

#[test]
fn the_prepared_picture_is_the_square_around_the_face() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    kdef(&from, &["AF03SUS"]);
    run(PhotoSet::Kdef, &from, &out, false).unwrap();
    let rows = table::from_csv(&out, &std::fs::read(out.join("table.csv")).unwrap(), "").unwrap();
    let [Row { crop_x: Some(x), crop_y: Some(y), crop_side: Some(side), .. }] = rows[..] else { panic!("{rows:?}") };
    let original = picture::decode(&from.join("AF03/AF03SUS.JPG")).unwrap();
    let cut = imageops::crop_imm(&original, x, y, side, side).to_image();
    for size in SIZES {
        let set = load(&out, "kdef-3emo", size).unwrap().set;
        assert_eq!((set.len(), set.height, set.width), (6, size, size));
        assert_eq!(set.image(0).unwrap(), picture::pixels(&cut, size));
    }
}

#[test]
fn what_is_prepared_is_not_prepared_again_unless_something_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    kdef(&from, &["AF01ANS", "AM02NES"]);
    let prepared = |fresh| run(PhotoSet::Kdef, &from, &out, fresh).unwrap();
    let first = prepared(false);
    let good = files(&out);
    let names: Vec<&str> = good.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["pictures-158.bin", "pictures-71.bin", "table.csv"]);

    let again = prepared(false);
    assert!(!again.is_new());
    assert_eq!(again.rows, first.rows);
    says(&again.to_string(), &["already prepared; --fresh does it anew", "  2 photos of 980"]);
    // The same bytes whenever it is done.
    assert!(prepared(true).is_new() && files(&out) == good);

    // Anything damaged, missing or edited in the prepared folder is made anew.
    for (name, bytes) in &good {
        let path = out.join(name);
        let mut damaged = bytes.clone();
        damaged[60] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(prepared(false).is_new() && files(&out) == good, "{name} damaged");
        std::fs::remove_file(&path).unwrap();
        assert!(prepared(false).is_new() && files(&out) == good, "{name} missing");
    }

    // A changed, a new and a removed source are noticed.
    let path = from.join("AF01/AF01ANS.JPG");
    let mut brighter = picture::decode(&path).unwrap();
    brighter.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| value.saturating_add(20)));
    save(&brighter, &path);
    assert!(prepared(false).is_new() && files(&out) != good);
    assert!(!prepared(false).is_new());
    kdef(&from, &["BM02NES"]);
    assert_eq!((prepared(false).n_used(), prepared(false).is_new()), (3, false));
    std::fs::remove_file(path).unwrap();
    assert_eq!((prepared(false).n_used(), prepared(false).is_new()), (2, false));
}

#[test]
fn a_part_of_the_photos_makes_a_part_of_the_set() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    // Persons 37 and 4 of the held-out rules, once in both sessions; two persons that are left out of the set.
    kdef(&from, &["AF03SUS", "BF03SUS", "AF03HAS", "AM05DIS", "AM05HAS", "AM01DIS", "BM15HAS"]);
    run(PhotoSet::Kdef, &from, &out, false).unwrap();
    let photographs = load(&out, "kdef-3emo", 71).unwrap();
    let set = &photographs.set;
    assert_eq!(set.factors, named("kdef-3emo", 71).unwrap().config.factors().unwrap());
    let labels: Vec<String> = (0..set.len()).step_by(6).map(|index| set.label(index).unwrap()).collect();
    assert_eq!(
        labels,
        [
            "person=4 emotion=disgust session=A transform=identity",
            "person=4 emotion=happy session=A transform=identity",
            "person=37 emotion=happy session=A transform=identity",
            "person=37 emotion=surprise session=A transform=identity",
            "person=37 emotion=surprise session=B transform=identity",
        ]
    );
    for (level, transform) in transforms::SIX.into_iter().enumerate() {
        let (image, upright) = (set.image(6 + level).unwrap(), set.image(6).unwrap());
        let permutation = transform.permutation(71);
        for (channel, original) in image.chunks_exact(71 * 71).zip(upright.chunks_exact(71 * 71)) {
            assert!(permutation.iter().zip(channel).all(|(&from, &pixel)| original[from] == pixel));
        }
    }
    // One of its six turns is held out.
    let rules = named("kdef-3emo", 71).unwrap().held_out;
    let split = Split::new(&set.factors, &set.combinations, &rules[1..]).unwrap();
    assert_eq!((rules[1].name.as_str(), split.train.len()), ("4-disgust-rotate-90", 5 * 6 - 1));
    // 63 persons, 3 expressions, 2 sessions.
    says(&photographs.note, &["photographs of KDEF, 5 of 378 photos, missing AM02DIS, BM02DIS, AM02HAS, "]);
    // Larger ones are the same set, though it holds out two of which there is no photo.
    assert_eq!(load(&out, "kdef-3emo", 158).unwrap().set.combinations, set.combinations);

    // In the sets of 65 persons levels are counted after the removal of those left out: person 37 has level 34.
    let four = load(&out, "kdef-4emo", 71).unwrap();
    assert_eq!(four.set.label(20).unwrap(), "person=34 emotion=surprise session=A transform=identity");
}

#[test]
fn a_complete_folder_makes_the_sets_of_the_research() {
    let folder = tempfile::tempdir().unwrap();
    let write = |set: PhotoSet, out: &Path| {
        let photos = set.photos();
        let mut rows = vec![Row::default(); photos.len()];
        for (row, photo) in rows.iter_mut().zip(&photos) {
            row.label(photo);
        }
        let csv = table::to_csv(out, &rows).unwrap();
        // Every picture has a grey of its own.
        let pictures: Vec<Vec<u8>> = (0..photos.len()).map(|place| vec![(place % 251) as u8; 3 * 71 * 71]).collect();
        let pictures: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
        cache::write(&cache::path(out, 71), cache::Key::new(set, &csv), &pictures).unwrap();
        std::fs::write(cache::table_path(out), csv).unwrap();
    };
    let (kdef, mmi) = (folder.path().join("kdef"), folder.path().join("mmi"));
    write(PhotoSet::Kdef, &kdef);
    write(PhotoSet::Mmi, &mmi);
    // SPEC §3.2; `mmi` and `kdef-3emo` hold out what they do at this size.
    for (name, n_train) in [
        ("kdef-3emo", 2_254),
        ("kdef-4emo", 2_012),
        ("kdef-4emo-split", 1_006),
        ("kdef-5emo", 3_720),
        ("kdef-7emo", 3_512),
        ("mmi", 287),
        ("mmi-small", 287),
    ] {
        let photo_set = PhotoSet::of(name).unwrap();
        let Photographs { set, test, note } =
            load(if photo_set == PhotoSet::Mmi { &mmi } else { &kdef }, name, 71).unwrap();
        let drawn = named(name, 71).unwrap();
        assert_eq!(set.factors, drawn.config.factors().unwrap(), "{name}");
        assert_eq!(set.combinations, drawn.config.combinations().unwrap(), "{name}");
        assert_eq!(
            Split::new(&set.factors, &set.combinations, &drawn.held_out).unwrap().train.len(),
            n_train,
            "{name}"
        );
        assert!(!note.contains("missing"), "{note}");
        assert_eq!(test.as_ref().map(ImageSet::len), (name == "kdef-4emo-split").then_some(1_040));
        // The picture of every photo is its own.
        let all = photo_set.photos();
        let n_transforms = set.len() / drawn.config.photos().len();
        for (place, photo) in drawn.config.photos().iter().enumerate() {
            let grey = all.iter().position(|other| other == photo).unwrap() % 251;
            assert_eq!(set.image(place * n_transforms).unwrap()[0], grey as f32 / 255.0, "{name} {photo:?}");
        }
    }
    // Session B has the second of every pair of pictures.
    let test = load(&kdef, "kdef-4emo-split", 71).unwrap().test.unwrap();
    // Person 0, disgust: expression 1 of seven, session 1, picture 3.
    assert_eq!(test.image(0).unwrap()[0], 3.0 / 255.0);
    assert_eq!(test.label(0).unwrap(), "person=0 emotion=disgust transform=identity");
}

#[test]
fn pictures_of_mmi_are_prepared_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("MMI"), folder.path().join("prepared"));
    for (name, person, expression) in [
        ("0-3.png", 0, Expression::Surprise),
        ("3-3.jpg", 3, Expression::Surprise),
        ("3-0.PNG", 3, Expression::Neutral),
    ] {
        let photo = Photo { person, expression, session: 0 };
        let path = from.join(name.to_lowercase());
        save(&photograph(&[(photo, PLACE)]), &path);
        std::fs::rename(path, from.join(name)).unwrap();
    }
    let report = run(PhotoSet::Mmi, &from, &out, false).unwrap().to_string();
    says(&report, &["3 photos of 49, 2 persons of 7\n", "  surprise     2\n", "missing: 46: 0-0, 0-1, 0-2, 0-4, "]);
    let photographs = load(&out, "mmi", 158).unwrap();
    assert_eq!(photographs.set.len(), 3 * 6);
    assert_eq!(photographs.set.label(6).unwrap(), "person=3 emotion=neutral transform=identity");
    says(&photographs.note, &["photographs of MMI, 3 of 49 photos, missing 0-0, 0-1, "]);
    // The smaller set is the same pictures, though of those that it holds out, 3-6 and 4-4, none is here.
    assert_eq!(load(&out, "mmi-small", 71).unwrap().set.len(), 3 * 6);
}

#[test]
fn a_photograph_of_a_person_is_prepared_wherever_and_however_it_lies() {
    let portrait = picture::decode(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/portrait/portrait.jpg")).unwrap();
    let portrait = imageops::resize(&portrait, 480, 480, imageops::FilterType::Triangle);
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    let ground = |face: &RgbImage, x, y| {
        let mut picture = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([150; 3]));
        imageops::replace(&mut picture, face, x, y);
        picture
    };
    save(&ground(&portrait, 40, 140), &from.join("AF01NES.JPG"));
    save(&ground(&imageops::flip_horizontal(&portrait), 0, 280), &from.join("AF01HAS.JPG"));
    save(&ground(&imageops::brighten(&portrait, -60), 80, 60), &from.join("AF01SAS.JPG"));
    save(&ground(&imageops::brighten(&portrait, 50), 60, 200), &from.join("AF01SUS.JPG"));
    let report = run(PhotoSet::Kdef, &from, &out, false).unwrap();
    assert_eq!(report.n_used(), 4, "{report}");
    // The crop follows the face: between left and right edge of the portrait at 0.515, mirrored at 0.485.
    let rows = table::from_csv(&out, &std::fs::read(out.join("table.csv")).unwrap(), "").unwrap();
    for (row, (x, share)) in rows.iter().zip([(0.0, 0.485), (40.0, 0.515), (80.0, 0.515), (60.0, 0.515)]) {
        let centre = f64::from(row.crop_x.unwrap()) + f64::from(row.crop_side.unwrap()) / 2.0;
        assert!((centre - (x + share * 480.0)).abs() < 15.0, "{row:?}");
    }
}

#[test]
fn what_cannot_be_prepared_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    let message = || one_line(run(PhotoSet::Kdef, &from, &out, false));
    says(&message(), &["KDEF: cannot read the folder"]);
    std::fs::create_dir(&from).unwrap();
    says(
        &message(),
        &[
            "KDEF: expected pictures named SESSION SEX NUMBER EXPRESSION VIEW as in AF01ANS.JPG",
            "0 pictures and 0 other",
        ],
    );
    std::fs::write(from.join("0-3.png"), "").unwrap();
    std::fs::write(from.join("AF01ANFL.JPG"), "").unwrap();
    std::fs::write(from.join("notes.txt"), "").unwrap();
    says(&message(), &["found 2 pictures and 1 other files; give the folder of the set kdef by --from"]);
    assert!(!out.exists());
    std::fs::write(from.join("AF01ANS.JPG"), "").unwrap();
    let no_model =
        prepare(&Preparation { set: PhotoSet::Kdef, from: &from, out: &out, fresh: false }, folder.path(), &|_, _| ());
    says(&one_line(no_model), &["cannot read the face detector's model"]);
    std::fs::write(&out, "").unwrap();
    says(&message(), &["prepared", "cannot"]);
}

#[test]
fn what_cannot_be_loaded_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    says(
        &one_line(load(&out, "kdef-3emo", 71)),
        &["expected one of the files table.csv", "prepare the set by `cargo xtask data kdef --from DIR`"],
    );
    says(&one_line(load(&out, "mmi", 71)), &["`cargo xtask data mmi --from DIR`"]);
    says(&one_line(load(&out, "kdef", 71)), &["faces set = `kdef`: expected kdef-3emo, "]);
    says(&one_line(load(&out, "mmi", 64)), &["size = 64: expected 158 or 71 pixels"]);

    kdef(&from, &["AM06SAS"]);
    run(PhotoSet::Kdef, &from, &out, false).unwrap();
    says(
        &one_line(load(&out, "kdef-3emo", 71)),
        &["expected some of the 378 photos of kdef-3emo, found none of them; table.csv says"],
    );
    // A single sad face is in this set, if in none that it holds out, and four transforms make images of it.
    assert_eq!(load(&out, "kdef-7emo", 71).unwrap().set.len(), 4);
    says(
        &one_line(load(&out, "mmi", 158)),
        &["pictures-158.bin: expected the 1 pictures of table.csv, prepared for mmi"],
    );
    let path = out.join("pictures-71.bin");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    let broken = one_line(load(&out, "kdef-7emo", 71));
    says(
        &broken,
        &["found none, others, or a damaged file; prepare the set anew by `cargo xtask data kdef --from DIR --fresh`"],
    );
    std::fs::write(&path, good).unwrap();
    std::fs::write(out.join("table.csv"), "no table\n1\n").unwrap();
    says(&one_line(load(&out, "kdef-7emo", 71)), &["table.csv: expected a table of prepared pictures"]);
}

#[test]
fn a_test_without_its_session_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    kdef(&from, &["AM05DIS", "AM05HAS"]);
    run(PhotoSet::Kdef, &from, &out, false).unwrap();
    // Both sessions in one set: the level B is there, without an image.
    let photographs = load(&out, "kdef-4emo", 71).unwrap();
    assert_eq!(photographs.set.len(), 2 * 4);
    says(&photographs.note, &["2 of 520 photos"]);
    says(
        &one_line(load(&out, "kdef-4emo-split", 71)),
        &["expected some of the 260 photos of the test of kdef-4emo-split"],
    );
    // With it, both are there.
    kdef(&from, &["BM05HAS"]);
    run(PhotoSet::Kdef, &from, &out, false).unwrap();
    let photographs = load(&out, "kdef-4emo-split", 71).unwrap();
    assert_eq!((photographs.set.len(), photographs.test.unwrap().len()), (8, 4));
    says(&photographs.note, &["2 of 260 photos", "; test: 1 of 260 photos"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    let folder = tempfile::tempdir().unwrap();
    let (from, elsewhere) = (folder.path().join("KDEF"), folder.path().join("elsewhere"));
    kdef(&elsewhere, &["AM05DIS"]);
    std::fs::create_dir(&from).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("AM05"), from.join("AM05")).unwrap();
    std::os::unix::fs::symlink(&from, from.join("again")).unwrap();
    let sources = sources::find(PhotoSet::Kdef, &from).unwrap();
    let files: Vec<&str> = sources.rows.iter().map(|row| row.file.as_str()).collect();
    assert_eq!(files, ["AM05/AM05DIS.JPG"]);
}

#[test]
fn every_photo_of_a_complete_set_has_a_name_that_is_read_back() {
    for (set, n) in [(PhotoSet::Kdef, 980), (PhotoSet::Mmi, 49)] {
        let photos = set.photos();
        assert_eq!(photos.len(), n);
        for photo in photos {
            assert_eq!(set.parse(&set.file_stem(&photo)), names::Name::Photo(photo));
        }
    }
}
