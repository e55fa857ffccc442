"""What the reference needs to know of kgan's docstrings beyond Google's style."""

import re

import griffe


class Fences(griffe.Extension):
    """Puts examples that begin with `>>>` into a block of code: Markdown takes them for quotes."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = re.sub(
                r"^(>>> .*?)(?=\n\n(?!>>>)|\Z)", r"```pycon\n\1\n```", text, flags=re.M | re.S
            )
