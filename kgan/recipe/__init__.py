"""Recipes: all that is needed to train a model again, in one TOML file."""

from kgan.recipe.recipe import (
    FORMAT,
    PAIRED,
    PRECISIONS,
    Data,
    Origin,
    Recipe,
    from_dict,
    from_toml,
    read,
    to_toml,
)

__all__ = [
    "FORMAT",
    "PAIRED",
    "PRECISIONS",
    "Data",
    "Origin",
    "Recipe",
    "from_dict",
    "from_toml",
    "read",
    "to_toml",
]
