"""kgan.runs.log: whatever is left of a log, the rows that are whole come back."""

import pytest

from kgan.runs.log import table, whole_rows

ROWS = [
    {"images_seen": "64", "seconds": "1.5", "d_loss": "1.386", "val_x": ""},
    {"images_seen": "128", "seconds": "3.0", "d_loss": "-0.25", "val_x": "0.0125"},
    {"images_seen": "192", "seconds": "4.5", "d_loss": "nan", "val_x": "1e-05"},
]
CONTENT = table(ROWS).encode()
LINES = CONTENT.splitlines(keepends=True)


def test_a_table_and_back():
    assert whole_rows(CONTENT) == ROWS
    assert whole_rows(CONTENT.replace(b"\r", b"")) == ROWS
    assert table([]) == "" and whole_rows(b"") == []


def test_metrics_need_not_be_in_all_rows():
    lacking = [{name: value for name, value in row.items() if value} for row in ROWS]
    assert whole_rows(table(lacking).encode()) == ROWS


@pytest.mark.parametrize("rest", [b"", b"\0" * 64, b"\xff\xfe\xfd", b"\0" * 8 + b"\r\n", b'"\r\n'])
def test_cut_at_every_byte_all_whole_rows_are_left_and_no_other(rest):
    """With nothing after the cut, or what a file system leaves there."""
    ends = [sum(map(len, LINES[: i + 1])) for i in range(len(LINES))]
    for cut in range(len(CONTENT) + 1):
        whole = max(sum(end <= cut for end in ends) - 1, 0)
        assert whole_rows(CONTENT[:cut] + (rest if cut < len(CONTENT) else b"")) == ROWS[:whole]


def test_every_byte_damaged_costs_a_row_at_most():
    for place in range(len(LINES[0]), len(CONTENT)):
        for damage in (b"\0", b"\xff", b'"', b"x"):
            content = CONTENT[:place] + damage + CONTENT[place + 1 :]
            left = whole_rows(content)
            # An end of a line lost takes two rows into one; a quoted number is a number.
            assert len(left) >= (1 if content.count(b"\n") < 4 else 2), content
            assert all(row["images_seen"].isdigit() and float(row["seconds"]) for row in left)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"256,6.0,1.0",
        b"256,6.0,1.0,,",
        b"256,,1.0,0.5",
        b"256,nan,1.0,0.5",
        b"256,6.0,loss,0.5",
        b"-256,6.0,1.0,0.5",
        b"2.56,6.0,1.0,0.5",
        b"9" * 5000 + b",6.0,1.0,0.5",
        "٢٥٦,6.0,1.0,0.5".encode(),
        b"256,6.0,1.0," + b"5" * 200_000,
        b"256\r,6.0,1.0,0.5",
    ],
)
def test_a_line_that_is_no_row_is_left_out(line):
    between = b"".join([*LINES[:2], line, b"\r\n", *LINES[2:]])
    assert whole_rows(between) == ROWS


@pytest.mark.parametrize(
    "header",
    [b"\r\n", b"images_seen\r\n", b"seconds,d_loss\r\n", b"images_seen,seconds,a,a\r\n", b"\0\r\n"],
)
def test_without_its_header_a_table_says_nothing(header):
    assert whole_rows(header + b"".join(LINES[1:])) == []


def test_rows_are_in_order_and_there_once():
    twice = b"".join([LINES[0], LINES[2], LINES[1], LINES[3], b"128,3.5,-0.5,0.5\r\n"])
    found = whole_rows(twice)
    assert [row["images_seen"] for row in found] == ["64", "128", "192"]
    assert found[1]["d_loss"] == "-0.5"
