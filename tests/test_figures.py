"""Results as text and in cards."""

from kgan import figures

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


def test_text_is_a_table_with_its_protocol():
    table, protocol = figures.text(RESULTS).split("\n\n")
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert rows == [
        "value floor",
        "frechet distance 1.235 0.0123",
        "kernel distance 0.5 ± 0.25",
        "class shares 0.125 to 0.625 0.3 to 0.4",
        "frechet distance, seven 77",
    ]
    assert "10,000 samples of seed 7 against the first 10,000 images of tfds:mnist test" in protocol
    assert "digits 1 (SHA-256 aaaaaaaaaaaa…)" in protocol
    assert "the last 10,000 of training in place of the samples" in protocol


def test_markdown_is_the_same_table():
    lines = figures.markdown(RESULTS)
    assert lines[0] == "| metric | value | floor |"
    assert "| class shares | 0.125 to 0.625 | 0.3 to 0.4 |" in lines


def test_summary_is_of_all_classes_together():
    assert figures.summary(RESULTS) == {
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
    assert figures.summary(odd) == {"coverage": (0.5, None)}
