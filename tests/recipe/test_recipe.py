"""kgan.recipe: all that is needed to train a model again, in one TOML file."""

import tomllib

import pytest

from kgan import recipe as recipes
from kgan.errors import KganError
from kgan.recipe import Data, Recipe

MINIMAL = 'format = 1\nname = "x"\nmodel = "DCGAN"\n'


def _full():
    schedule = {"name": "CosineDecay", "initial_learning_rate": 2e-4, "decay_steps": 10_000}
    return Recipe(
        name="dcgan-x",
        model="DCGAN",
        images=640_000,
        batch_size=32,
        checkpoint_images=1000,
        grid_images=2000,
        seed=7,
        note='A "quoted" note,\nof two lines, with é, 😀 and \\ in it.',
        arguments={"image_shape": [64, 64, 3], "augment": "DiffAugment", "ema_half_life": 1e4},
        data=Data("celeba/train", "test", True, "CelebA", "research", "Ask them.", "A note."),
        g_optimizer={"name": "Adam", "beta_1": 0.5, "learning_rate": schedule},
        d_optimizer={"name": "Adam", "learning_rate": 1e-7},
    )


def test_recipe_reads_back_as_written(tmp_path):
    (tmp_path / "recipe.toml").write_text(_full().to_toml(), "utf-8")
    assert recipes.read(tmp_path / "recipe.toml") == _full()


def test_how_images_are_resized_reads_back(tmp_path):
    data = Data("photos", resize="pad", background="#102030", labels="folders")
    recipe = Recipe(name="x", model="DCGAN", data=data)
    assert recipes.from_toml(recipe.to_toml()) == recipe


def test_fit_of_recipes_of_before_is_resize():
    recipe = recipes.from_toml(MINIMAL + '[data]\nsource = "a"\nfit = "pad"\n')
    assert recipe.data == Data("a", resize="pad")
    assert tomllib.loads(recipe.to_toml())["data"]["resize"] == "pad"
    assert "fit" not in recipe.to_toml()


def test_resize_by_both_names_is_refused():
    message = "Expected resize in .data.* Received: resize, and fit, its old name, in the place$"
    with pytest.raises(KganError, match=message):
        recipes.from_toml(MINIMAL + "[data]\nfit = 'pad'\nresize = 'pad'\n", "the place")


@pytest.mark.parametrize(
    "data",
    [
        {"source": ["a", "b"], "held_out": ["c", "tfds:mnist#test[:5]"], "extractor": "random"},
        {"source": "a", "held_out": {"names": "*0.png"}, "box": [0.25, 0, 0.75, 1]},
        {"source": "a", "held_out": {"share": 0.1}, "labels": "folders"},
        {"source": "a", "target": "b", "paired": "names", "held_out": {"share": 0.1}},
        {"source": "a", "paired": "halves", "held_out": "c"},
        {
            "source": ["a", "tfds:x"],
            "target": ["b", "c"],
            "paired": "no",
            "held_out": "d",
            "held_out_target": ["e"],
        },
        {"source": "a", "labels": "folders", "classes": {"0": "b", 'a b."c"': "é", "ü": "u"}},
    ],
)
def test_all_that_is_said_of_data_reads_back(data):
    recipe = Recipe(name="x", model="DCGAN", data=Data(**data))
    assert recipes.from_toml(recipe.to_toml()) == recipe


def test_data_as_people_write_them():
    text = """
    [data]
    source = ["celeba/train", "celeba/more"]
    box = [0.1, 0, 1, 0.9]
    held_out = {names = "*0.png"}
    labels = "folders"

    [data.classes]
    0 = "from behind"
    "my cat" = "cat"
    """
    data = recipes.from_toml(MINIMAL + text).data
    assert data.sources() == ["celeba/train", "celeba/more"]
    assert data.held_out == {"names": "*0.png"} and data.box == [0.1, 0, 1, 0.9]
    assert data.classes == {"0": "from behind", "my cat": "cat"}


def test_defaults_that_a_kgan_of_before_does_not_know_are_not_written():
    assert set(tomllib.loads(_full().to_toml())["data"]) == {
        "source",
        "split",
        "flip",
        "title",
        "licence",
        "licence_note",
        "note",
    }


def test_learning_rate_schedule_is_a_nested_table():
    values = tomllib.loads(_full().to_toml())
    assert values["g_optimizer"]["learning_rate"]["decay_steps"] == 10_000
    assert values["g_optimizer"]["beta_1"] == 0.5


def test_toml_says_its_format():
    assert tomllib.loads(_full().to_toml())["format"] == recipes.FORMAT


def test_average_that_was_switched_off_stays_off():
    from kgan.models import GAN
    from kgan.zoo import building
    from kgan.zoo.saving import recipe_of

    text = recipe_of(GAN((16, 16, 1), width=10, ema_half_life=None), "x").to_toml()
    assert building.build(recipes.from_toml(text)).ema_half_life is None


def test_what_is_not_said_takes_its_default():
    assert recipes.from_toml(MINIMAL) == Recipe(name="x", model="DCGAN")


@pytest.mark.parametrize(
    "text, message",
    [
        (MINIMAL + "learning_rate = 1\n", "learning_rate"),
        (MINIMAL + "[data]\nfolder = 'x'\n", "folder"),
        (MINIMAL + "data = 'x'\n", "'x'"),
        ("format = 2\nname = 'x'\n", "format = 1.*format 2 in the place; a newer kgan"),
        ("name = 'x'\nmodel = 'DCGAN'\n", "format = 1.*format None"),
        ("format = 1\nname = 'x'\n", "Incomplete recipe in the place: .*'model'"),
        ("format = 1\nname = \n", "a recipe in TOML.*the place.*line 2"),
    ],
)
def test_what_is_no_recipe_is_refused(text, message):
    with pytest.raises(KganError, match=f"(?s){message}"):
        recipes.from_toml(text, "the place")


@pytest.mark.parametrize(
    "key, value",
    [
        ("images", -1),
        ("images", 1.5),
        ("batch_size", 0),
        ("batch_size", "64"),
        ("checkpoint_images", 0),
        ("grid_images", 0),
        ("seed", -1),
        ("seed", True),
    ],
)
def test_bad_number_is_refused(key, value):
    with pytest.raises(KganError, match=rf"Expected {key} .* int >= .*Received: {value!r}"):
        Recipe(name="x", model="DCGAN", **{key: value})


SOURCE = "source in a recipe to be text, or a list of texts"
BOX = (
    "box = [left, top, right, bottom] in fractions of the picture, from 0 to 1, left before right "
    "and top before bottom"
)
HELD_OUT = "held_out in a recipe to be a source, a list of sources, or a table"
RULE = 'held_out in a recipe to be {names = "*0.png"} or {share = 0.1}'
HELD_OUT_TARGET = (
    "held_out_target in a recipe to be given where target is and held_out is a source, and nowhere "
    "else"
)
SHARE = "share of held_out in a recipe to be a number between 0 and 1"
CLASSES = "classes in a recipe to be names in text"
PLAIN = "finite numbers, text, lists and tables"


@pytest.mark.parametrize(
    "text, expected, received",
    [
        ("arguments = 3", "arguments in a recipe to be a dict", "3"),
        ("g_optimizer = 'Adam'", "g_optimizer in a recipe to be a dict", "'Adam'"),
        ("images = 99999999999999999999", "ints of 64 bits", "one of 67 in a string"),
        ("note = 1979-05-27", PLAIN, "datetime.date(1979, 5, 27) in a string"),
        ("[arguments]\nwidth = nan", PLAIN, "nan in a string"),
        (f"[arguments]\nwidth = {'[' * 100}{']' * 100}", "at most 40 levels", "more in a string"),
        ("[data]\nsource = 3", SOURCE, "3"),
        ("[data]\nsource = []", SOURCE, "[]"),
        ("[data]\nsource = ['a', 1]", SOURCE, "['a', 1]"),
        ("[data]\nsource = ['']", SOURCE, "['']"),
        ("[data]\nsource = {a = 1}", SOURCE, "{'a': 1}"),
        ("[data]\nflip = 'yes'", "flip in a recipe to be a bool", "'yes'"),
        ("[data]\nextractor = 3", "extractor in a recipe to be a str", "3"),
        ("[data]\nclass_names = [1]", "class_names in a recipe to be names in text", "[1]"),
        ("[data]\nbox = [0, 0, 1]", BOX, "[0, 0, 1]"),
        (
            "[data]\nbox = [15, 40, 163, 188]",
            BOX,
            "[15, 40, 163, 188]; divide pixels by the width and height",
        ),
        ("[data]\nbox = '0,0,1,1'", "box in a recipe to be a list", "'0,0,1,1'"),
        ("[data]\nbox = 1", "box in a recipe to be a list", "1"),
        ("[data]\nheld_out = 1", HELD_OUT, "1"),
        ("[data]\nheld_out = [3]", HELD_OUT, "[3]"),
        ("[data]\nheld_out = {}", RULE, "{}"),
        ("[data]\nheld_out = {name = '*'}", RULE, "{'name': '*'}"),
        (
            "[data]\nheld_out = {names = '*', share = 0.1}",
            RULE,
            "{'names': '*', 'share': 0.1}",
        ),
        (
            "[data]\nheld_out = {names = 0}",
            'names of held_out in a recipe to be a pattern such as "*0.png"',
            "0",
        ),
        ("[data]\nheld_out = {share = 0}", SHARE, "0"),
        ("[data]\nheld_out = {share = 1}", SHARE, "1"),
        ("[data]\nheld_out = {share = '0.1'}", SHARE, "'0.1'"),
        ("[data]\nheld_out = {share = true}", SHARE, "True"),
        (
            "[data]\nlabels = 'folders'\nclasses = ['a']",
            "classes in a recipe to be a dict",
            "['a']",
        ),
        ("[data]\nlabels = 'folders'\nclasses = {a = 1}", CLASSES, "{'a': 1}"),
        ("[data]\nlabels = 'folders'\nclasses = {a = ''}", CLASSES, "{'a': ''}"),
        (
            "[data]\nlabels = 'folders'\nclasses = {a = 'x', b = 'x'}",
            "classes in a recipe to be another name for each folder",
            "{'a': 'x', 'b': 'x'}",
        ),
        ("[data]\ntarget = 3", "target in a recipe to be text, or a list of texts", "3"),
        (
            "[data]\npaired = 'yes'",
            "paired in a recipe to be one of names, halves, no",
            "'yes'",
        ),
        (
            "[data]\ntarget = 'b'\npaired = 'halves'",
            'target in a recipe to be left out beside paired = "halves"',
            "'b'",
        ),
        (
            "[data]\npaired = 'no'",
            'target in a recipe to be given beside paired = "no"',
            "'none'",
        ),
        ("[data]\ntarget = 'b'\nheld_out = 'c'", HELD_OUT_TARGET, "'none'"),
        ("[data]\ntarget = 'b'\nheld_out_target = 'c'", HELD_OUT_TARGET, "'c'"),
        ("[data]\nheld_out = 'c'\nheld_out_target = 'd'", HELD_OUT_TARGET, "'d'"),
        (
            "[data]\ntarget = 'b'\nlabels = 'folders'",
            "labels in a recipe to be left out beside target and paired",
            "'folders'",
        ),
        (
            "[data]\nclasses = {a = 'b'}",
            'classes in a recipe to be beside labels = "folders"',
            "'no labels'",
        ),
    ],
)
def test_a_wrong_value_is_named_beside_a_right_one(text, expected, received):
    with pytest.raises(KganError) as raised:
        recipes.from_toml(MINIMAL + text + "\n")
    assert str(raised.value) == f"Expected {expected}. Received: {received}"


def test_a_name_is_text():
    with pytest.raises(KganError, match=r"Expected name in a recipe to be a str\. Received: 3$"):
        recipes.from_toml("format = 1\nname = 3\nmodel = 'DCGAN'\n")


def test_control_characters_are_refused():
    with pytest.raises(KganError, match=r"a recipe in TOML. Received: .*'\\x1b' \(at line 4"):
        recipes.from_toml(MINIMAL + "note = '\x1b[31m'\n")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(KganError, match=r"a recipe in TOML.*none\.toml.*No such file"):
        recipes.read(tmp_path / "none.toml")


def test_large_file_is_not_read(tmp_path):
    (tmp_path / "x.toml").write_text("#" * (1 << 19))
    with pytest.raises(KganError, match=r"at most 262,144 bytes. Received: .*x\.toml"):
        recipes.read(tmp_path / "x.toml")


def test_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KganError, match=r"a recipe in TOML.*x\.toml"):
        recipes.read(tmp_path / "x.toml")
