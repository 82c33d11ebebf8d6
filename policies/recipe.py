"""What `landbridge train NAME` means: a task, its randomisation, a controller, an algorithm and a budget."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain_rand.named import named
from domain_rand.spec import Randomisation
from policies.algorithms.ppo import Mirror
from policies.config import PPOConfig, TrainConfig
from policies.controller import Controller, ControllerConfig
from sim.env import VecEnv


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training run.

    Attributes:
        name: as on the command line.
        task: name of a task in `sim.tasks`.
        randomisation: drawn anew for each episode.
        controller: shape of what is exported.
        ppo: settings of the algorithm.
        train: budget, checkpoints, threads.
        num_envs: environments.
        engine: name of a physics engine.
        device: where environments and networks live; `auto` is a GPU where the engine can use one and there is one.
        seed: of networks, exploration, randomisation and environments.
        mirror: gives the mirror image of a sample of this task, for `ppo.symmetry`.
    """

    name: str
    task: str
    randomisation: Randomisation
    controller: ControllerConfig = field(default_factory=ControllerConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    num_envs: int = 512
    engine: str = "mujoco_cpu"
    device: str = "auto"
    seed: int = 1
    mirror: Callable[[VecEnv, Controller], Mirror] | None = None


@dataclass(frozen=True)
class Settings:
    """The part of a recipe that a command line may change.

    Attributes:
        randomisation: a JSON file, or none, cartpole, quadruped or full; empty for the recipe's own.
    """

    ppo: PPOConfig
    train: TrainConfig
    controller: ControllerConfig
    num_envs: int
    engine: str
    device: str
    seed: int
    randomisation: str = ""

    @staticmethod
    def of(recipe: Recipe) -> Settings:
        """The settings that a recipe comes with."""
        names = (field.name for field in dataclasses.fields(Settings) if field.name != "randomisation")
        return Settings(**{name: getattr(recipe, name) for name in names})

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe with these settings.

        Raises:
            UsageError: there is no such randomisation.
        """
        changed = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        changed["randomisation"] = named(self.randomisation) if self.randomisation else recipe.randomisation
        return dataclasses.replace(recipe, **changed)


def with_arguments(recipe: Recipe, arguments: tuple[str, ...]) -> Recipe:
    """The recipe changed by arguments such as `--ppo.gamma 0.98`.

    Raises:
        SystemExit: 2 where an argument is wrong, 0 for `--help`; tyro has printed why.
        UsageError: a value is out of range, or there is no such randomisation.
    """
    import tyro

    settings = tyro.cli(
        Settings,
        default=Settings.of(recipe),
        args=list(arguments),
        prog=f"landbridge train {recipe.name} --",
        description=f"Settings of the recipe {recipe.name}.",
    )
    return settings.applied_to(recipe)


def plain(value: Any) -> Any:
    """Configuration as JSON values, complete enough to tell two configurations apart."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    return value


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """`FIELD: OLD is now NEW` for each leaf in which two results of `plain` differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        pairs = [(f"{where}.{name}" if where else name, old.get(name), new.get(name)) for name in names]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(f"{where}[{i}]", a, b) for i, (a, b) in enumerate(zip(old, new, strict=True))]
    else:
        return [] if old == new else [f"{where}: {old} is now {new}"]
    return [line for name, a, b in pairs for line in differences(a, b, name)]
