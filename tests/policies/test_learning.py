"""Training works, on every engine that is installed: from nothing to a cart that balances its pole where it is told to.

The bar is far from where trained policies end up (`landbridge check` holds them to less than half of it), and far from
what an untrained one does: its pole falls within a second.
"""

from pathlib import Path

import pytest
import torch

from policies import provenance, recipes
from policies.evaluation import evaluate
from policies.packaging import package
from policies.recipe import with_arguments
from policies.training import build_trainer
from sim import engines

INSTALLED = [name for name in engines.names() if engines.missing_module(name) is None]
_GROUPS = {"mujoco_warp": "warp"}  # two processes must not compile the same kernels at once


class Silent:
    def report(self, *_: object) -> None: ...

    def note(self, _: str) -> None: ...


def _on(engine: str) -> object:
    return pytest.param(engine, marks=pytest.mark.xdist_group(_GROUPS.get(engine, f"learning-{engine}")))


@pytest.mark.parametrize("engine", [_on(engine) for engine in INSTALLED])
def test_cartpole_is_learned(engine: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    arguments = ("--engine", engine, "--device", "cpu", "--train.steps", "120000")
    recipe = with_arguments(recipes.load("cartpole"), arguments)
    trainer = build_trainer(recipe, tmp_path / "run", Silent())
    trainer.train()
    trainer.env.close()
    origin = provenance.collect(recipe, recipe.seed, trainer.summary(), ["test"])
    bundle = package(recipe, trainer.controller, origin, tmp_path / "bundle")
    scores = {bar.name: bar.value for bar in evaluate(bundle, engine=engine, device="cpu", episodes=8).result.bars}
    assert scores["falls"] <= 0.1, scores
    assert scores["pole angle"] < 0.1, scores
    assert scores["cart error"] < 1.0, scores


def test_at_least_the_default_engine_is_tested() -> None:
    assert "mujoco_cpu" in INSTALLED
