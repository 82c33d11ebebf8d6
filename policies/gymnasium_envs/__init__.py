"""Each recipe as a Gymnasium environment for the training scripts of Isaac Lab. Importing this registers them.

Nothing of Isaac Lab is imported before one of them is made.
"""

from collections.abc import Callable
from typing import Any

import gymnasium

from policies import recipes


def environment_id(recipe: str) -> str:
    """The Gymnasium id of a recipe's environment."""
    return f"Landbridge-{recipe}-v0"


def register() -> None:
    """Register an environment for each recipe; to do so again changes nothing."""
    for recipe in recipes.names():
        if environment_id(recipe) not in gymnasium.registry:
            gymnasium.register(
                id=environment_id(recipe),
                entry_point=f"{__name__}.environment:RecipeEnv",
                disable_env_checker=True,  # it expects numpy arrays of one environment
                kwargs={
                    "env_cfg_entry_point": _config_of(recipe, "environment"),
                    "rsl_rl_cfg_entry_point": _config_of(recipe, "rsl_rl"),
                    "default_agent": "rsl_rl",
                },
            )


def _config_of(recipe: str, kind: str) -> Callable[[], Any]:
    """What Isaac Lab calls for a configuration, once it needs one."""

    def make() -> Any:
        from policies.gymnasium_envs import configs

        return getattr(configs, kind)(recipes.load(recipe))

    return make


register()
