//! The claims of SPEC §8 as data: which experiments, sets and metrics decide each, and which command makes them.

use multigen_measure::{JUDGE_JOINT, MEAN_DIGIT_PSNR, SHARPNESS};

use super::claim::{Case, Check, Claim, Condition, Measure, Needs, Quantity, Side, Standing, Subject, Whose};
use crate::figures::sweep::SWEEP;
use crate::labels::TRUTH;

/// Seeds that a verdict needs.
pub const SEEDS_NEEDED: usize = 5;

const NEAREST: &str = "baseline: nearest training image";
const PSNR: &str = "psnr_db";
const DIGIT_FACTORS: [&str; 3] = ["judge_digit", "judge_colour", "judge_transform"];
const FACE_FACTORS: [&str; 3] = ["judge_person", "judge_emotion", "judge_transform"];
const SWEEP_FOLDERS: [&str; 6] = [
    "holdout-sweep-01",
    "holdout-sweep-10",
    "holdout-sweep-30",
    "holdout-sweep-50",
    "holdout-sweep-70",
    "holdout-sweep-90",
];
const HELD_OUT_CELLS: &[&str] = &["held-out cells"];
const HELD_OUT_PAIRS: &[&str] = &["held-out pairs"];

/// Of the classifier that a generator learns to be read by.
const OF_COOPERATION: &[Check] = &[
    Check {
        that: "through a frozen classifier the gradient reaches the images that it reads, and is that of central differences",
        test: "a_frozen_classifier_passes_gradients_to_its_images_and_keeps_none",
    },
    Check {
        that: "a frozen classifier stays as it was before the run, and learns in the phase that says so",
        test: "a_classifier_learns_in_the_phase_that_says_so_and_in_no_other",
    },
    Check {
        that: "the generator learns otherwise where a frozen classifier reads what it draws",
        test: "a_frozen_classifier_stays_as_it_was_and_still_teaches",
    },
    Check {
        that: "no held-out combination reaches the classifier's pretraining (of digits)",
        test: "no_held_out_combination_reaches_the_pretraining",
    },
];

/// Of the discriminator that a generator learns to deceive.
const OF_ADVERSARIES: &[Check] = &[
    Check {
        that: "the gradient of its score is that of central differences",
        test: "gradients_are_the_slopes_of_the_score",
    },
    Check {
        that: "either side learns from its own loss alone, and the generator's reaches the generated images",
        test: "each_side_has_its_own_gradient",
    },
    Check {
        that: "it learns in its phase, at its own rate, and the generator learns another thing than without it",
        test: "a_discriminator_learns_in_its_phase_at_its_own_rate_and_teaches_the_generator",
    },
];

/// Of what classifiers are trained and tested on.
const OF_SAMPLES: &[Check] = &[Check {
    that: "no held-out image and no image of a person who was not drawn is trained on",
    test: "no_held_out_image_and_no_person_that_was_not_drawn_is_trained_on",
}];

/// Of classifiers that learn from few images.
const OF_SCARCITY: &[Check] = &[
    OF_COOPERATION[0],
    Check {
        that: "fewer images are a part of more, and nothing held out is among them",
        test: "fewer_images_are_a_part_of_more_and_nothing_held_out_is_among_them",
    },
];

/// The command that makes a results folder with as many seeds as a verdict needs.
pub fn command(folder: &str, subject: Subject) -> String {
    let (name, further) = match folder {
        // The default models, and the operator that is compared with concatenation.
        "kdef-held-out-pairs" => (folder, " --set 'models.default=[\"portrait\", \"compact\", \"operator-emotion\"]'"),
        // The weight of its classification term was chosen on the first seeds.
        "digits-cooperative" => (folder, " --first-seed 5"),
        _ if folder.starts_with(SWEEP) => (SWEEP.trim_end_matches('-'), ""),
        _ => (folder, ""),
    };
    let photographs = if subject == Subject::Photographs { " --kdef datasets/kdef/prepared" } else { "" };
    format!("cargo xtask reproduce {name} --seeds {SEEDS_NEEDED}{further}{photographs}")
}

/// All claims in their order.
pub fn claims() -> Vec<Claim> {
    vec![
        trained(),
        familiar(),
        unseen_pairs(),
        how_pairs_fail(),
        average_seven(),
        Claim {
            number: "6",
            text: "The cooperative discriminator improves quality.",
            measured_by: "held-out PSNR, SSIM and the judge's accuracy; fixed and flexible against the generator only, \
                          equal steps",
            supported_when: "every difference > 0",
            checks: OF_COOPERATION,
            cases: [("digits-v2+fixed", "compact+fixed"), ("digits-v2+flexible", "compact+flexible")]
                .into_iter()
                .flat_map(|(digits, faces)| {
                    [
                        quality(Subject::Digits, ("digits-cooperative", HELD_OUT_CELLS), (digits, "digits-v2")),
                        quality(Subject::DrawnFaces, ("kdef-cooperative", HELD_OUT_PAIRS), (faces, "compact")),
                    ]
                })
                .collect(),
        },
        imagined(),
        Claim {
            number: "7",
            text: "So does the adversarial discriminator.",
            measured_by: "held-out PSNR, SSIM and the judge's accuracy; each adversarial loss against the generator only, \
                          equal steps",
            supported_when: "every difference > 0",
            checks: OF_ADVERSARIES,
            cases: [
                ("digits-v2+hinge", "compact+hinge"),
                ("digits-v2+non-saturating", "compact+non-saturating"),
                ("digits-v2+wgan-gp", "compact+wgan-gp"),
            ]
            .into_iter()
            .flat_map(|(digits, faces)| {
                [
                    quality(Subject::Digits, ("digits-adversarial", HELD_OUT_CELLS), (digits, "digits-v2")),
                    quality(Subject::DrawnFaces, ("kdef-adversarial", HELD_OUT_PAIRS), (faces, "compact")),
                ]
            })
            .collect(),
        },
        scarce(),
        augmentation(),
        operators(),
    ]
}

fn trained() -> Claim {
    let case = |subject, folder, factors: [&'static str; 3], model| {
        let mut conditions = vec![above(folder, &["train"], difference(PSNR, model, Whose::Named(NEAREST)))];
        for metric in factors.into_iter().chain([JUDGE_JOINT]) {
            conditions.push(at_least(folder, &["train"], (metric, model), 0.99));
        }
        for metric in factors {
            let to_truth = above(folder, &["train"], difference(metric, model, Whose::Named(TRUTH)));
            conditions.push(beside(to_truth, "what the generator loses of what the judge reads in the truth"));
        }
        Case { subject, arm: model, conditions }
    };
    Claim {
        number: "1",
        text: "Trained combinations are reproduced.",
        measured_by: "PSNR and the judge's accuracy on all training combinations",
        supported_when: "PSNR − nearest other training image > 0, and the judge's accuracy ≥ 0.99 for each factor and for \
                         all at once",
        checks: &[],
        cases: vec![
            case(Subject::Digits, "digits-result-1", DIGIT_FACTORS, "operator-affine"),
            case(Subject::Digits, "digits-result-1", DIGIT_FACTORS, "digits-v2"),
            case(Subject::DrawnFaces, "kdef-result-1", FACE_FACTORS, "portrait"),
            case(Subject::DrawnFaces, "kdef-result-1", FACE_FACTORS, "compact"),
        ],
    }
}

fn familiar() -> Claim {
    let case = |subject, folder, sets: &'static [&'static str], model| Case {
        subject,
        arm: model,
        conditions: vec![above(folder, sets, difference(PSNR, model, Whose::BestBaseline))],
    };
    const DIGITS: &[&str] = &["2-style-4-red-rotate-90", "familiar cells"];
    const FACES: &[&str] = &["4-disgust-rotate-90", "familiar cells"];
    Claim {
        number: "2",
        text: "Held-out combinations with familiar members are drawn.",
        measured_by: "PSNR of digit 2, style 4, red, rotate-90, and of thirty more such images drawn at random; of person 4's \
                      disgust, rotate-90, and of thirty more such cells",
        supported_when: "PSNR − best baseline > 0",
        checks: &[],
        cases: vec![
            case(Subject::Digits, "digits-familiar-cells", DIGITS, "operator-affine"),
            case(Subject::Digits, "digits-familiar-cells", DIGITS, "digits-v2"),
            case(Subject::DrawnFaces, "kdef-familiar-cells", FACES, "portrait"),
            case(Subject::DrawnFaces, "kdef-familiar-cells", FACES, "compact"),
        ],
    }
}

fn unseen_pairs() -> Claim {
    let case = |model| {
        let folder = "kdef-held-out-pairs";
        let mut conditions = vec![
            at_least(folder, HELD_OUT_PAIRS, ("judge_person", model), 0.8),
            at_least(folder, HELD_OUT_PAIRS, ("judge_emotion", model), 0.8),
            above(folder, HELD_OUT_PAIRS, difference(PSNR, model, Whose::BestBaseline)),
            Condition {
                side: Side::Below,
                ..above(folder, HELD_OUT_PAIRS, difference(SHARPNESS, model, Whose::Named(TRUTH)))
            },
        ];
        for condition in &mut conditions {
            condition.needs = Some(Needs { at_least: 10, per: Some("emotion") });
        }
        Case { subject: Subject::DrawnFaces, arm: model, conditions }
    };
    Claim {
        number: "3",
        text: "An identity–emotion pair never seen keeps both, less sharply.",
        measured_by: "faces, at least ten held-out persons per expression, others for every seed",
        supported_when: "the judge's accuracy on person and on expression both ≥ 0.8; PSNR − best baseline > 0; sharpness \
                         below the truth's",
        checks: &[],
        cases: vec![case("portrait"), case("compact")],
    }
}

fn how_pairs_fail() -> Claim {
    let case = |model: &'static str| {
        let emotion = |level| Measure { of: Whose::Named(model), metric: PSNR, level: Some(level) };
        let happy_against = |other| Quantity::Difference(emotion("emotion=happy"), emotion(other));
        let condition = |quantity| above("kdef-held-out-pairs", HELD_OUT_PAIRS, quantity);
        // A handful of mouths, chosen by being readable, says nothing of the others.
        let of_mouths = |quantity| Condition { needs: Some(Needs { at_least: 10, per: None }), ..condition(quantity) };
        Case {
            subject: Subject::DrawnFaces,
            arm: model,
            conditions: vec![
                condition(happy_against("emotion=surprise")),
                condition(happy_against("emotion=disgust")),
                of_mouths(Quantity::NearerMeanMouth { model, level: "emotion=surprise" }),
                of_mouths(Quantity::AsymmetryLost { model, level: "emotion=disgust" }),
            ],
        }
    };
    Claim {
        number: "4",
        text: "Happy transfers best; surprise comes out averaged; aversion's side is ambiguous.",
        measured_by: "PSNR per expression; opening of the mouth against the person's own and the mean person's; asymmetry of \
                      the mouth",
        supported_when: "happy − each other > 0; generated opening nearer the mean; asymmetry below the truth's",
        checks: &[],
        cases: vec![case("portrait"), case("compact")],
    }
}

fn average_seven() -> Claim {
    let case = |model| {
        let to = |metric| Measure { of: Whose::Named(model), metric, level: None };
        let nearer_mean = Quantity::Difference(to(MEAN_DIGIT_PSNR), to(PSNR));
        Case {
            subject: Subject::Digits,
            arm: model,
            conditions: vec![
                above("digits-result-3", &["result-3"], nearer_mean),
                Condition { side: Side::Below, ..above("digits-styled", &["result-3"], nearer_mean) },
            ],
        }
    };
    Claim {
        number: "5",
        text: "With inconsistent styles the held-out 7 is an average 7; with consistent ones it is not.",
        measured_by: "PSNR of the generated 7 to the mean of the other 7s in that transform and to the truth, digits against \
                      digits-styled",
        supported_when: "nearer the mean in the first (difference > 0), nearer the truth in the second (difference < 0)",
        checks: &[],
        cases: vec![case("digits-v2"), case("operator-affine")],
    }
}

fn imagined() -> Claim {
    let case = |subject, (folder, sets), (arm, alone)| {
        let mut case = quality(subject, (folder, sets), (arm, alone));
        for condition in &mut case.conditions {
            if [PSNR, "ssim"].contains(&condition.quantity.leading().metric) {
                condition.standing = Standing::Beside("the claim is about what a judge reads, not about pixels");
            }
        }
        case
    };
    Claim {
        number: "6b",
        text: "Cooperation on imagined combinations improves what a judge reads in held-out images (ours).",
        measured_by: "the judge's accuracy per factor; PSNR beside it (half of a batch is imagined, so that the reconstruction \
                      sees half as many true images in those steps)",
        supported_when: "every difference of the judge's accuracy > 0",
        checks: OF_COOPERATION,
        cases: vec![
            case(Subject::Digits, ("digits-cooperative", HELD_OUT_CELLS), ("digits-v2+imagined", "digits-v2")),
            case(Subject::DrawnFaces, ("kdef-cooperative", HELD_OUT_PAIRS), ("compact+imagined", "compact")),
        ],
    }
}

fn scarce() -> Claim {
    let condition = |sets, metric| above("starvation", sets, difference(metric, "cooperative", Whose::Named("alone")));
    let case = |arm, conditions| Case { subject: Subject::DrawnFaces, arm, conditions };
    const SHARES: [(&str, &[&str], &[&str]); 3] = [
        ("at 12 %", &["session B at 12 %"], &["unseen persons at 12 %"]),
        ("at 6 %", &["session B at 6 %"], &["unseen persons at 6 %"]),
        ("one image per person", &["session B at one image per person"], &["unseen persons at one image per person"]),
    ];
    Claim {
        number: "8",
        text: "The cooperatively trained classifier beats the classifier alone when data is scarce.",
        measured_by: "accuracy on real images of session B and of unseen persons, at 12 and 6 % of the images and at one image \
                      per person, equal steps",
        supported_when: "every difference > 0 at ≤ 12 %",
        checks: OF_SCARCITY,
        cases: SHARES
            .into_iter()
            .map(|(arm, session_b, unseen)| {
                let conditions = vec![
                    condition(session_b, "accuracy_person"),
                    condition(session_b, "accuracy_emotion"),
                    condition(unseen, "accuracy_emotion"),
                ];
                case(arm, conditions)
            })
            .collect(),
    }
}

fn augmentation() -> Claim {
    let generated = difference("accuracy_emotion", "real+generated", Whose::Named("real+classical"));
    let condition = above("augmentation", &["unseen persons"], generated);
    let needs = Some(Needs { at_least: 500, per: None });
    Claim {
        number: "9",
        text: "Generated images augment better than classical methods.",
        measured_by: "accuracy on the expressions of at least 500 unseen persons, equal steps",
        supported_when: "real+generated − real+classical > 0",
        checks: OF_SAMPLES,
        cases: vec![Case {
            subject: Subject::DrawnFaces,
            arm: "real+generated",
            conditions: vec![Condition { needs, ..condition }],
        }],
    }
}

fn operators() -> Claim {
    let digits = |model| {
        let mut conditions = Vec::new();
        for folder in SWEEP_FOLDERS {
            conditions.push(above(folder, HELD_OUT_CELLS, difference(PSNR, model, Whose::Named("digits-v2"))));
        }
        for folder in SWEEP_FOLDERS {
            let joint = above(folder, HELD_OUT_CELLS, difference(JUDGE_JOINT, model, Whose::Named("digits-v2")));
            conditions.push(beside(joint, "the same as the judge reads it"));
        }
        Case { subject: Subject::Digits, arm: model, conditions }
    };
    let faces = |model| {
        let against =
            |metric| above("kdef-held-out-pairs", HELD_OUT_PAIRS, difference(metric, model, Whose::Named("compact")));
        let conditions = vec![against(PSNR), beside(against(JUDGE_JOINT), "the same as the judge reads it")];
        Case { subject: Subject::DrawnFaces, arm: model, conditions }
    };
    Claim {
        number: "10",
        text: "What a factor may do decides about unseen combinations (ours).",
        measured_by: "held-out PSNR of the kinds of operators against concatenation, on digits from 1 to 90 % of the cells held \
                      out, and on faces; every generator has its own solver, steps and batch, which the reports list",
        supported_when: "every difference of PSNR > 0",
        checks: &[],
        cases: vec![digits("operator-affine"), digits("operator-latent"), faces("portrait"), faces("operator-emotion")],
    }
}

/// Held-out quality of an arm against the generator alone.
fn quality(
    subject: Subject,
    (folder, sets): (&'static str, &'static [&'static str]),
    (arm, alone): (&'static str, &'static str),
) -> Case {
    let factors = if subject == Subject::Digits { DIGIT_FACTORS } else { FACE_FACTORS };
    let against = |metric| above(folder, sets, difference(metric, arm, Whose::Named(alone)));
    let mut conditions = vec![against(PSNR), against("ssim")];
    conditions.extend(factors.into_iter().map(against));
    conditions.push(beside(against(JUDGE_JOINT), "all factors at once, of which each stands above"));
    conditions.push(beside(against(SHARPNESS), "sharpness alone is no quality"));
    Case { subject, arm, conditions }
}

fn difference(metric: &'static str, model: &'static str, reference: Whose) -> Quantity {
    let of = |of| Measure { of, metric, level: None };
    Quantity::Difference(of(Whose::Named(model)), of(reference))
}

fn above(folder: &'static str, sets: &'static [&'static str], quantity: Quantity) -> Condition {
    Condition { folder, sets, quantity, null: 0.0, side: Side::Above, standing: Standing::Decides, needs: None }
}

fn at_least(
    folder: &'static str,
    sets: &'static [&'static str],
    (metric, model): (&'static str, &'static str),
    null: f64,
) -> Condition {
    let quantity = Quantity::Mean(Measure { of: Whose::Named(model), metric, level: None });
    Condition { null, side: Side::AtLeast, ..above(folder, sets, quantity) }
}

fn beside(condition: Condition, reason: &'static str) -> Condition {
    Condition { standing: Standing::Beside(reason), ..condition }
}
