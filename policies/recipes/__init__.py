"""One file a recipe: task, randomisation, algorithm and budget; what `landbridge train NAME` means."""

import importlib
from typing import TYPE_CHECKING

from contract.lookup import unknown

if TYPE_CHECKING:
    from policies.recipe import Recipe

_MODULES = {"cartpole": "policies.recipes.cartpole", "go2-velocity-flat": "policies.recipes.go2_velocity_flat"}


def names() -> list[str]:
    """Recipes that exist."""
    return sorted(_MODULES)


def load(name: str) -> "Recipe":
    """The recipe of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in _MODULES:
        raise unknown("recipe", name, _MODULES)
    recipe: Recipe = importlib.import_module(_MODULES[name]).RECIPE
    return recipe
