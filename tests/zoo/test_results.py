"""Results as text and in cards."""

from kgan.zoo import results

PROTOCOL = {
    "extractor": "digits",
    "extractor_version": "1",
    "extractor_sha256": 64 * "a",
    "resize": "none",
    "real_images": 10_000,
    "generated_images": 10_000,
    "data": "tfds:mnist",
    "split": "test",
    "floor_images": "the last 10,000 of training",
    "seed": 7,
    "truncation": None,
}
RESULTS = [
    {"metric": "frechet_distance", "value": 1.23456, "floor": 0.0123, **PROTOCOL},
    {"metric": "kernel_distance", "value": 0.5, "deviation": 0.25, "floor": None, **PROTOCOL},
    {
        "metric": "class_shares",
        "value": [0.25, 0.125, 0.625],
        "real": [0.3, 0.4, 0.3],
        "floor": None,
        **PROTOCOL,
    },
    {"metric": "frechet_distance", "class": "seven", "value": 77.0, "floor": None, **PROTOCOL},
]


NOW = {
    **PROTOCOL,
    "real_images": 4_000,
    "generated_images": 4_000,
    "floor_images": 4_000,
    "data": "celeba/train",
    "split": "training",
    "places": "even places of 8,000 training pictures",
    "floor_places": "odd places of 8,000 training pictures",
    "seeds": [0, 1, 2],
    "left_out": "the Fréchet distance of b, of fewer than 250 images each",
}
HELD_OUT = {
    "real_images": 1_000,
    "generated_images": 1_000,
    "split": "held-out",
    "places": "even spaces of 1,000 held-out pictures",
}
RESULTS_NOW = [
    {**NOW, "metric": "frechet_distance", "value": 0.46, "spread": 0.0212, "floor": 0.2},
    {
        **NOW,
        "metric": "kernel_distance",
        "value": 0.004,
        "spread": 0.001,
        "deviation": 0.002,
        "floor": 0.0001,
    },
    {**NOW, **HELD_OUT, "metric": "recall", "value": 0.75, "spread": 0.01, "floor": 0.9}
    | {"floor_images": 1_000},
    {
        **NOW,
        "metric": "class_shares",
        "value": [0.25, 0.75],
        "spread": [0.01, 0.03],
        "real": [0.5, 0.5],
        "floor": None,
    },
    {**NOW, **HELD_OUT, "metric": "nearness", "value": 1.02, "spread": 0.1, "floor": None}
    | {"least": 0.97, "floor_images": None, "floor_places": None},
]


def test_text_of_several_seeds():
    table, protocol = results.text(RESULTS_NOW).split("\n\n")
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert rows == [
        "value spread floor value / floor",
        "frechet distance 0.46 0.0212 0.2 2.3 floors",
        "kernel distance 0.004 ± 0.002 0.001 0.0001",  # of real images 0 on average: no ratio
        "recall 0.75 0.01 0.9",
        "class shares 0.25 to 0.75 0.03 0.5 to 0.5",
        "nearness 1.02 0.1 at least 0.97",
    ]
    assert protocol.splitlines() == [
        "4,000 samples of each of the seeds 0, 1, 2 against 4,000 pictures at even places of 8,000 "
        "training pictures, of celeba/train. Values are means over seeds; spread: the largest less "
        "the smallest.",
        "Features: digits 1 (SHA-256 aaaaaaaaaaaa…); resize: none.",
        "Floor: 4,000 pictures at odd places of 8,000 training pictures in place of the samples.",
        "Recall: 1,000 samples against 1,000 pictures at even spaces of 1,000 held-out pictures; "
        "its floor: 1,000 pictures at odd places of 8,000 training pictures.",
        "Nearness: the median distance of 1,000 samples to the nearest training picture, divided "
        "by that of 1,000 pictures at even spaces of 1,000 held-out pictures; at least 0.97: no "
        "memorisation seen.",
        "Left out: the Fréchet distance of b, of fewer than 250 images each.",
        "Across crops or data only value / floor may be compared, and only by one extractor.",
    ]
    lines = results.markdown(RESULTS_NOW)
    assert lines[0] == "| metric | value | spread | floor | value / floor |"
    assert lines[2] == "| frechet distance | 0.46 | 0.0212 | 0.2 | 2.3 floors |"


def test_samples_that_lie_too_near_to_training_pictures_are_told_of():
    memorised = [*RESULTS_NOW[:1], {**RESULTS_NOW[-1], "value": 0.969}]
    said = results.text(memorised)
    assert "**below 0.97**: samples lie nearer" in said and "no memorisation" not in said


def test_one_seed_and_a_truncation():
    result = {**RESULTS_NOW[0], "seeds": [7], "truncation": 0.7, "left_out": None}
    said = results.text([result])
    assert "4,000 samples of seed 7, truncation 0.7, against 4,000 pictures at even" in said
    assert "means" not in said and "Left out" not in said


def test_text_of_figures_of_before_is_a_table_with_its_protocol():
    table, protocol = results.text(RESULTS).split("\n\n")
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert rows == [
        "value floor value / floor",
        "frechet distance 1.235 0.0123 100.4 floors",
        "kernel distance 0.5 ± 0.25",
        "class shares 0.125 to 0.625 0.3 to 0.4",
        "frechet distance, seven 77",
    ]
    assert "10,000 samples of seed 7 against the first 10,000 images of tfds:mnist test" in protocol
    assert "digits 1 (SHA-256 aaaaaaaaaaaa…)" in protocol
    assert "the last 10,000 of training in place of the samples" in protocol


def test_markdown_is_the_same_table():
    lines = results.markdown(RESULTS)
    assert lines[0] == "| metric | value | floor | value / floor |"
    assert "| class shares | 0.125 to 0.625 | 0.3 to 0.4 |  |" in lines


def test_summary_is_of_all_classes_together():
    assert results.summary(RESULTS) == {
        "frechet_distance": (1.23456, 0.0123),
        "kernel_distance": (0.5, None),
    }


def test_summary_leaves_out_what_is_no_number():
    odd = [
        {"metric": "recall", "value": "high"},
        {"metric": "precision", "value": float("nan")},
        {"metric": "coverage", "value": 0.5, "floor": "none"},
        {},
    ]
    assert results.summary(odd) == {"coverage": (0.5, None)}
