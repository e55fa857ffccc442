"""What a user of a layer reads."""

import inspect
import re

import pytest

import kgan

CLASSES = [getattr(kgan.layers, name) for name in kgan.layers.__all__]
CLASSES += [kgan.augment.DiffAugment, kgan.augment.AdaptiveAugment]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_call_says_what_it_takes_and_gives(kind):
    text = inspect.cleandoc(kind.call.__doc__ or "")
    summary, arguments, result = re.fullmatch(
        r"(\S.*)\n\nArgs:\n(.*)\n\nReturns:\n(.*)", text, re.DOTALL
    ).groups()
    assert summary.endswith(".")
    # All arguments, in their order, each with its type or its shape.
    documented = re.findall(r"^    (\w+): \S", arguments, re.MULTILINE)
    assert documented == list(inspect.signature(kind.call).parameters)[1:]
    shapes = r"tensor (\([^)]*\)|of the (same )?shape)"
    assert re.search(shapes, arguments) and re.search(shapes, result)
    assert kind.__module__.startswith("kgan.") and "kgan" in kind.call.__module__
