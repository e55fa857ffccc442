"""Runs that were killed, or whose files were torn: they go on from what is whole."""

import json
import shutil

import keras
import pytest
import tensorflow as tf

import kgan
from kgan.callbacks import Checkpoint
from kgan.errors import KganError, KganWarning
from kgan.files import sha256
from kgan.models import DCGAN
from kgan.runs import callbacks, selection
from kgan.runs import directory as run_directory
from kgan.runs import train as training
from kgan.runs.log import whole_rows
from kgan.zoo import building, opening
from runs.squares import recipe, weights

END = 64


@keras.saving.register_keras_serializable("tests")
class Drifting(DCGAN):
    """Its weights drift with what it sees, which is traced sooner than what learns."""

    def train_step(self, data):
        real, draws = self.begin_step(data)
        mean = tf.reduce_mean(real.images)
        for variable in self.generator.trainable_variables:
            variable.assign_add(tf.fill(variable.shape, -0.02 * mean))
        self.log(d_loss=mean, g_loss=-mean)
        return self.end_step(draws, real)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """One model for all sessions, as if built anew, for it to be traced once; no curves."""
    whole, made = building.build, {}

    def build(asked):
        model = made.setdefault("model", None) or whole(asked)
        optimizers = [model.g_optimizer.variables, model.d_optimizer.variables]
        variables = [*model.variables, *optimizers[0], *optimizers[1]]
        if made["model"] is None:
            made.update(model=model, values=[v.numpy() for v in variables])
        for variable, value in zip(variables, made["values"], strict=True):
            variable.assign(value)
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "build", build)
        patch.setattr(callbacks, "plot_curves", lambda log, png: png.touch())
        yield


def drifting(folder, **changes):
    asked = {"model": "Drifting", "images": END, "grid_images": 32, "select": "kernel_distance"}
    return recipe(folder, **{**asked, **changes})


def logged(run):
    """The rows of a log, times aside."""
    rows = whole_rows((run / "log.csv").read_bytes())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def ended(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("torn") / "ended"
    training.train(drifting(folder), run)
    assert [row["images_seen"] for row in logged(run)] == ["16", "32", "48", "64"]
    assert len({row["val_kernel_distance"] for row in logged(run)}) == 3
    return run


def check(run, ended):
    """A run is what it would have been."""
    assert weights(run) == weights(ended)
    assert logged(run) == logged(ended)
    best = [sha256(place / "preset/model.weights.h5") for place in (run, ended)]
    assert best[0] == best[1]
    assert opening.has_ended(run)
    return True


class Killed(BaseException):
    """Stands for SIGKILL; `test_train.py` and `kill_test.py` send it."""


def kill(patch, place, name, count, after):
    """Ends whatever calls a function for the `count`th time, before or after its work."""
    whole, calls = getattr(place, name), []

    def killed(*args, **kwargs):
        calls.append(name)
        if len(calls) == count and not after:
            raise Killed
        result = whole(*args, **kwargs)
        if len(calls) == count:
            raise Killed
        return result

    patch.setattr(place, name, killed)


# One after the other in one run, so that a session begins where the one before was killed.
KILLS = {
    "after the line is noted": (callbacks.RunLog, "note", 1, True),
    "between weights and state": (json, "dumps", 1, True),
    "after the checkpoint of 16": (Checkpoint, "on_epoch_end", 1, True),
    "while the lost line is written": (callbacks.RunLog, "_write", 1, False),
    "after the next checkpoint": (Checkpoint, "on_epoch_end", 1, True),
    "after the line": (callbacks.RunLog, "on_epoch_end", 1, True),
    "at a snapshot": (callbacks.Snapshots, "act", 1, False),
    "after the last checkpoint": (Checkpoint, "on_epoch_end", 1, True),
    "before the preset": (selection, "keep_best", 1, False),
}


@pytest.mark.slow
def test_killed_anywhere_the_log_is_that_of_a_run_that_was_not(folder, ended, tmp_path):
    for i, (moment, (place, name, count, after)) in enumerate(KILLS.items()):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            kill(patch, place, name, count, after)
            training.train(drifting(folder), tmp_path / "run", resume=i > 0)
        left = logged(tmp_path / "run") if (tmp_path / "run/log.csv").exists() else []
        assert left == logged(ended)[: len(left)], moment
    training.train(drifting(folder), tmp_path / "run", resume=True)
    check(tmp_path / "run", ended)


@pytest.fixture(scope="module")
def killed(folder, tmp_path_factory):
    """A run that was killed after its last checkpoint."""
    run = tmp_path_factory.mktemp("torn") / "killed"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill(patch, callbacks.RunLog, "on_epoch_end", 4, True)
        training.train(drifting(folder), run)
    assert weights(run)[0] == "images-000000064.weights.h5"
    return run


def cut(content):
    return content[: 2 * len(content) // 3]


def emptied(content):
    return b""


def garbage(content):
    return b"\0\xff{[\"'" * (len(content) // 8)


def missing(content):
    return None


DAMAGES = (cut, emptied, garbage, missing)


def tear(path, damage):
    content = damage(path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, missing])
def test_with_every_file_torn_but_one_checkpoint_a_run_goes_on(
    folder, killed, ended, damage, tmp_path
):
    run = shutil.copytree(killed, tmp_path / "run")
    spared = {f"images-000000048{end}" for end in (".json", ".weights.h5")}
    for path in list(run.rglob("*")):
        if path.is_file() and path.name not in spared and "000000032" not in str(path):
            tear(path, damage)
    with pytest.warns(KganWarning) as caught:
        training.train(opening.recipe_of(run), run, resume=True)
    said = [str(warning.message) for warning in caught if warning.category is KganWarning]
    assert f"{run / 'recipe.toml'} is damaged: it is written again" in said
    if damage is not missing:
        assert f"The damaged {run / 'snapshots/images-000000064'} is replaced" in said
        assert any("images-000000064.weights.h5 is damaged" in line for line in said)
    assert check(run, ended) and (run / "recipe.toml").read_text() == drifting(folder).to_toml()
    assert json.loads((run / "versions.json").read_text())


def test_torn_after_its_end_a_run_ends_again(folder, ended, tmp_path):
    """All but the checkpoints, which tell the rest."""
    run = shutil.copytree(ended, tmp_path / "run")
    for path in list(run.rglob("*")):
        if path.is_file() and "checkpoints" not in str(path):
            tear(path, cut)
    with pytest.warns(KganWarning, match="The damaged .*preset is replaced"):
        training.train(opening.recipe_of(run), run, resume=True)
    assert (weights(run), logged(run)) == (weights(ended), logged(ended))
    assert kgan.zoo.preset.read(run / "preset").metadata["training"]["images_seen"] == END
    assert opening.has_ended(run)


def test_without_a_checkpoint_it_says_that_it_begins_anew(folder, ended, tmp_path):
    run = shutil.copytree(ended, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    with pytest.warns(KganWarning, match="No checkpoint is in .*training begins anew"):
        training.train(drifting(folder), run, resume=True)
    check(run, ended)


@pytest.mark.parametrize("end", [".json", ".weights.h5"])
def test_without_a_whole_checkpoint_the_way_out_is_said(folder, ended, tmp_path, end):
    run = shutil.copytree(ended, tmp_path / "run")
    for path in run.glob(f"checkpoints/*{end}"):
        tear(path, cut)
    message = r"No checkpoint in .* is whole: start anew elsewhere, or here once images-0+64.json, "
    with (
        pytest.warns(KganWarning, match="is damaged"),
        pytest.raises(KganError, match=message) as caught,
    ):
        training.train(drifting(folder), run, resume=True)
    assert "\n" not in str(caught.value) and logged(run) == logged(ended)


class TestRecipe:
    @pytest.fixture
    def run(self, tmp_path):
        """The least that tells of a run of before its first image."""
        (tmp_path / "checkpoints").mkdir()
        self.note(tmp_path, recipe=drifting("photos").to_toml())
        (tmp_path / "recipe.toml").write_text(drifting("photos").to_toml(), "utf-8")
        return tmp_path

    @staticmethod
    def note(run, **notes):
        (run / "checkpoints/images-000000016.json").write_text(json.dumps({"notes": notes}))

    def test_cut_at_every_byte_it_is_that_of_the_newest_checkpoint(self, run):
        content, asked = (run / "recipe.toml").read_bytes(), drifting("photos")
        for end in range(len(content)):
            (run / "recipe.toml").write_bytes(content[:end])
            assert opening.recipe_of(run) == asked
        (run / "recipe.toml").unlink()
        assert opening.run_directory(str(run)) == run and opening.recipe_of(run) == asked

    def test_one_that_was_edited_stays(self, run):
        longer = drifting("photos", images=960)
        (run / "recipe.toml").write_text(longer.to_toml(), "utf-8")
        assert opening.recipe_of(run) == longer

    @pytest.mark.parametrize("notes", [{}, {"recipe": 3}, {"recipe": None}])
    def test_of_a_run_that_does_not_note_it_the_way_out_is_said(self, run, notes):
        self.note(run, **notes)
        assert opening.recipe_of(run) == drifting("photos")
        tear(run / "recipe.toml", cut)
        with pytest.raises(KganError, match="kgan train RECIPE --out .* --resume") as caught:
            opening.recipe_of(run)
        assert "\n" not in str(caught.value) and "recipe.toml" in str(caught.value)
        with pytest.warns(KganWarning, match="recipe.toml is damaged: it is written again"):
            run_directory.claim(run, drifting("photos"), override=False)
        assert opening.recipe_of(run) == drifting("photos")

    def test_another_one_is_still_refused(self, run):
        tear(run / "recipe.toml", cut)
        with pytest.raises(KganError, match="images: 64 there, 8 now"):
            run_directory.claim(run, drifting("photos", images=8), override=False)


class TestSnapshots:
    """Of a run that selects, after its end."""

    @pytest.fixture
    def run(self, ended, tmp_path):
        return shutil.copytree(ended, tmp_path / "run")

    @staticmethod
    def best(run):
        """The snapshot that became the preset."""
        made = sha256(run / "preset/model.weights.h5")
        places = (run / "snapshots").iterdir()
        return next(path for path in places if sha256(path / "model.weights.h5") == made)

    class Judge:
        """Whose values all snapshots have."""

        @staticmethod
        def has_measured(metadata):
            return True

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_any_file_of_any_snapshot_torn_leaves_the_others(self, run, damage):
        places = sorted((run / "snapshots").iterdir())
        for place in places:
            for path in sorted(place.iterdir()):
                content = path.read_bytes()
                tear(path, damage)
                with pytest.warns(KganWarning, match=f"{place} is left out: .*{path.name}"):
                    found = dict(selection.measured(run / "snapshots", self.Judge()))
                path.write_bytes(content)
                if place == self.best(run):  # which is in the preset, too
                    found[place] = found.pop(run / "preset")
                    found.pop(place)
                assert sorted(found) == [other for other in places if other != place], path

    def test_a_torn_one_that_was_chosen_stays_the_preset(self, run):
        first, last = sorted((run / "snapshots").iterdir())
        facts = kgan.zoo.preset.read(first).metadata
        facts["training"]["selected"]["value"] = -1.0
        kgan.zoo.preset.complete(first, facts)
        for torn in (None, cut, emptied):
            if torn is not None:
                tear(first / "model.weights.h5", torn)
            found = selection.measured(run / "snapshots", self.Judge())
            selection.keep_best(found, run / "preset", run / "curves.png")
            chosen = kgan.zoo.preset.read(run / "preset").metadata["training"]
            assert (chosen["images_seen"], chosen["selected"]["value"]) == (32, -1.0)
            assert chosen["selected"]["snapshots"] == 2
        shutil.rmtree(first)  # on purpose: it is not wanted
        assert selection.measured(run / "snapshots", self.Judge())[0][0] == last

    def test_if_all_are_torn_the_last_is_made_again_and_measured(self, folder, run):
        for path in run.glob("snapshots/*/metadata.json"):
            tear(path, cut)
        shutil.rmtree(run / "preset")
        with pytest.warns(KganWarning, match="left out: Damaged preset"):
            training.train(drifting(folder), run, resume=True)
        training_facts = kgan.zoo.preset.read(run / "preset").metadata["training"]
        assert (training_facts["images_seen"], training_facts["selected"]["snapshots"]) == (END, 1)

    def test_if_none_can_be_had_the_last_state_becomes_the_preset(self, folder, run):
        for place in (run / "snapshots").iterdir():
            tear(place / "metadata.json", emptied)
            (place / "thesis.tex").touch()
        shutil.rmtree(run / "preset")
        with pytest.warns(KganWarning, match="is whole: the last state becomes the preset"):
            training.train(drifting(folder), run, resume=True)
        found = kgan.zoo.preset.read(run / "preset").metadata["training"]
        assert found["images_seen"] == END and "selected" not in found
        assert len(list(run.glob("snapshots/*/thesis.tex"))) == 2  # nothing of anybody's is lost

    def test_a_note_in_a_snapshot_does_not_stop_the_end(self, folder, run, ended):
        shutil.rmtree(run / "preset")
        for place in (run / "snapshots").iterdir():
            (place / "notes.txt").touch()
            found = kgan.zoo.preset.read(place).metadata
            found["training"].pop("selected")
            (place / "notes.txt").unlink()
            kgan.zoo.preset.complete(place, found)
            (place / "notes.txt").touch()
        with pytest.warns(KganWarning, match="The value of the snapshot .* is not kept"):
            training.train(drifting(folder), run, resume=True)
        check(run, ended)


class TestPlaces:
    """What is in the way of a preset in a run."""

    def test_what_is_left_of_a_preset_makes_way(self, tiny_preset, tmp_path):
        for damage in DAMAGES:
            place = shutil.copytree(tiny_preset, tmp_path / "place")
            tear(place / "metadata.json", damage)
            with pytest.warns(KganWarning, match="The damaged .*place is replaced"):
                run_directory.make_way(place)
            assert not place.exists()

    def test_what_a_newer_kgan_has_written_does_not(self, tiny_preset, tmp_path):
        place = shutil.copytree(tiny_preset, tmp_path / "place")
        values = json.loads((place / "metadata.json").read_text())
        (place / "metadata.json").write_text(json.dumps({**values, "format": 9}))
        before = sorted(place.iterdir())
        with pytest.raises(KganError, match="which holds other files: .*format 9.*newer kgan"):
            run_directory.make_way(place)
        assert sorted(place.iterdir()) == before

    def test_nothing_else_does(self, tiny_preset, tmp_path):
        whole = shutil.copytree(tiny_preset, tmp_path / "whole")
        run_directory.make_way(whole)
        run_directory.make_way(tmp_path / "none")
        assert kgan.zoo.preset.read(whole)
        for name, make in (("a.txt", "touch"), ("samples.png", "mkdir")):
            place = shutil.copytree(tiny_preset, tmp_path / f"with {name}")
            (place / "metadata.json").unlink()
            (place / "samples.png").unlink()
            getattr(place / name, make)()
            (tmp_path / "link").symlink_to(place)
            for path in (place, tmp_path / "link"):
                with pytest.raises(KganError, match="which holds other files"):
                    run_directory.make_way(path)
            (tmp_path / "link").unlink()
            assert (place / name).exists()
