"""kgan.data.report: what was found, in about ten lines."""

from kgan.data import Report


def _report(**values):
    return Report("photos", (64, 48, 3), "crop", "white", **{"files": 1000, **values})


def test_says_what_images_become():
    text = _report().text()
    assert "1,000 of 1,000 image files in photos" in text
    assert "48x64x3, cropped at the center, over white" in text  # width first, as elsewhere


def test_skipped_files_are_counted_in_whole_and_named_in_part():
    report = _report(skipped={f"{i}.png": "empty file" for i in range(30)})
    assert report.images == 970
    assert report.text(most=10).endswith("9.png: empty file\n          and 20 more")
    assert "Skipped:  30 (3.00%)" in report.text(most=10)
    assert report.text().endswith("29.png: empty file")


def test_many_classes_are_abridged():
    text = _report(classes={f"c{i}": 10 for i in range(100)}).text()
    assert "Classes:  100: c0 10, c1 10, " in text and "c19 10 and 80 more" in text


def test_where_the_images_are():
    assert (
        "Memory:   12.3 GB, and up to 50.0 MB in reading"
        in _report(memory=12_300_000_000, reading=50_000_000).text()
    )
    assert "Cache:    1.5 GB in x.cache" in _report(file=1_500_000_000, cache="x.cache").text()
    assert "Disk:     700.0 kB in a temporary file" in _report(file=700_000).text()


def test_a_report_of_ten_lines():
    report = _report(
        sizes=[(10, 20), (30, 40), (500, 600)],
        enlarged=3,
        formats={"JPEG": 990, "PNG": 10},
        modes={"RGB": 1000},
        copies=2,
        classes={"cat": 500, "dog": 500},
        ignored={".txt": 1},
        memory=1,
        reading=1,
    )
    lines = report.text().splitlines()
    assert len(lines) == 10
    assert "Sizes:    smallest 10x20, median 30x40, largest 500x600; 3 enlarged" in lines
