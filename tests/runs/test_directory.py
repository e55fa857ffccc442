"""kgan.runs.directory: the recipe of a run, and what it says of the code that trained it."""

import json

import pytest

from kgan import recipe as recipes
from kgan.errors import KganError
from kgan.runs import directory as run_directory

TWO = 2
OLD, NEW = {"kgan": "0.1", "commit": "a"}, {"kgan": "0.2", "commit": "b"}


def noted(directory):
    return json.loads((directory / run_directory.VERSIONS).read_text())


def test_only_other_code_than_before_is_noted(tmp_path):
    for images_seen, versions in ((0, OLD), (64, OLD), (128, NEW), (192, NEW), (256, OLD)):
        run_directory.note_versions(tmp_path, images_seen, versions)
    assert noted(tmp_path) == [
        {"images_seen": 0, **OLD},
        {"images_seen": 128, **NEW},
        {"images_seen": 256, **OLD},
    ]


def test_code_of_a_checkout_that_is_installed_now_is_other_code(tmp_path):
    installed = {"kgan": "0.2"}
    for images_seen, versions in ((0, NEW), (64, installed)):
        run_directory.note_versions(tmp_path, images_seen, versions)
    assert noted(tmp_path) == [{"images_seen": 0, **NEW}, {"images_seen": 64, **installed}]


@pytest.mark.parametrize("value", [None, 0, -1, 2.0, True, "2", 10**9, TWO])
def test_the_threads_of_a_run_are_those_noted_last(tmp_path, value):
    assert run_directory.threads_of(tmp_path) is None
    for images_seen, threads in ((0, 3), (64, value)):
        run_directory.note_versions(tmp_path, images_seen, {**OLD, "threads": threads})
    assert run_directory.threads_of(tmp_path) == (2 if value is TWO else None)


@pytest.mark.parametrize("content", ["", "[{", "{}", "3", "[3]"])
def test_a_note_that_is_damaged_does_not_stop_a_run(tmp_path, content):
    (tmp_path / run_directory.VERSIONS).write_text(content)
    run_directory.note_versions(tmp_path, 64, OLD)
    assert noted(tmp_path) == [{"images_seen": 64, **OLD}]


SUMS = {"cats/a.png": "1" * 64, "b.png": "2" * 64, "\udcff.png": ""}


class TestData:
    def test_the_same_files_are_noted_once(self, tmp_path, capsys):
        run_directory.note_data(tmp_path, SUMS, begun=False)
        before = (tmp_path / run_directory.DATA).stat()
        run_directory.check_data(tmp_path, dict(reversed(SUMS.items())), override=False)
        run_directory.note_data(tmp_path, dict(reversed(SUMS.items())), begun=True)
        assert (tmp_path / run_directory.DATA).stat() == before
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        "changes, said",
        [
            ({"c.png": "3"}, "1 file added (c.png)"),
            ({"b.png": None}, "1 file removed (b.png)"),
            ({"b.png": "3" * 64}, "1 file changed (b.png)"),
            ({"\udcff.png": "4" * 64}, "1 file changed (\\udcff.png)"),  # it could not be opened
            (
                {"cats/a.png": None, "cats/a\n.png": "1" * 64},
                "1 file added (cats/a\\n.png), 1 file removed (cats/a.png)",
            ),
            (
                {f"{i}.png": "5" * 64 for i in range(1200)},
                "1,200 files added (0.png, 1.png, 10.png, 100.png, 1000.png, …)",
            ),
        ],
        ids=str,
    )
    def test_others_are_refused_by_name(self, tmp_path, capsys, changes, said):
        run_directory.note_data(tmp_path, SUMS, begun=False)
        now = {name: value for name, value in {**SUMS, **changes}.items() if value is not None}
        with pytest.raises(KganError) as caught:
            run_directory.check_data(tmp_path, now, override=False)
        assert str(caught.value).endswith(f"with others). Received: {said}")
        run_directory.check_data(tmp_path, now, override=True)
        run_directory.note_data(tmp_path, now, begun=True)
        assert capsys.readouterr().err == f"The run goes on with other images: {said}\n"
        run_directory.check_data(tmp_path, now, override=False)

    @pytest.mark.parametrize("content", [None, "", "{", "[]", "3", '{"files": {}}', "half"])
    def test_a_note_that_is_not_there_or_damaged_is_written_with_a_line(
        self, tmp_path, capsys, content
    ):
        run_directory.note_data(tmp_path, SUMS, begun=False)
        path = tmp_path / run_directory.DATA
        if content is None:
            path.unlink()
        else:
            path.write_text(path.read_text().replace("1", "7") if content == "half" else content)
        run_directory.check_data(tmp_path, {}, override=False)
        run_directory.note_data(tmp_path, SUMS, begun=True)
        assert capsys.readouterr().err.startswith("data.json did not tell what the run was")
        with pytest.raises(KganError, match="3 files removed"):
            run_directory.check_data(tmp_path, {}, override=False)


@pytest.mark.parametrize("there", ["fit", "resize"])
def test_a_run_whose_recipe_says_fit_goes_on_with_one_that_says_resize(tmp_path, there):
    text = 'format = 1\nname = "x"\nmodel = "DCGAN"\n[data]\nsource = "a"\n'
    (tmp_path / run_directory.RECIPE).write_text(f'{text}{there} = "pad"\n')
    now = recipes.from_toml(f'{text}resize = "pad"\n')
    run_directory.claim(tmp_path, now, override=False)
    assert f'{there} = "pad"' in (tmp_path / run_directory.RECIPE).read_text()  # left alone
    now.data.resize = "stretch"
    with pytest.raises(KganError, match="'resize': 'pad'.* there, .*'resize': 'stretch'.* now"):
        run_directory.claim(tmp_path, now, override=False)
