"""From a trained controller to a whole bundle: exported, with the signals of its training and its delays stated.

The card comes last, since it says how the bundle did in its check: `package`, then `policies.evaluation.evaluate`,
then `with_check`, which changes the card and the pictures and nothing that a robot acts on.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from contract.bundle import read_bundle, write_bundle
from contract.errors import BundleError
from contract.policy_contract import CommandRange, Provenance
from domain_rand.randomiser import EpisodeRandomiser
from domain_rand.spec import Randomisation
from policies import provenance, training
from policies.card import checked_card, unchecked_card
from policies.check_plots import plots
from policies.controller import Controller
from policies.envelope import signal_statistics
from policies.evaluation import Check
from policies.export import GOLDEN_STEPS, closed_loop_signals, export_bundle, make_contract
from policies.progress import Reporter
from policies.recipe import Recipe
from policies.run_directory import PROVENANCE, RunDirectory
from policies.trainer import Trainer
from sim import tasks
from sim.env import VecEnv

_ROBOTS = 64  # whose signals make the envelope
_STEPS = 500  # control periods of each
_GOLDEN_ROBOTS = 4
_SEED_OFFSET = 2_000_003  # other episodes than those of training and check


def package(recipe: Recipe, controller: Controller, made: Provenance, path: Path) -> Path:
    """Write the bundle of a controller that `recipe` trained, with a card that says that it is unchecked.

    Raises:
        BundleError: the graph does not do what the controller does, or a field of the contract does not hold.
    """
    task = tasks.load(recipe.task)
    randomiser = EpisodeRandomiser(recipe.randomisation, recipe.seed + _SEED_OFFSET)
    env = VecEnv(
        task,
        _ROBOTS,
        engine=recipe.engine,
        device=recipe.device,
        randomiser=randomiser,
        seed=recipe.seed + _SEED_OFFSET,
    )
    try:
        signals = closed_loop_signals(controller, env, _STEPS)
        robot = env.robot
    finally:
        env.close()
    contract = make_contract(
        controller,
        robot,
        task=task.name,
        control_period=task.control_period,
        command=CommandRange(task.command.elements, task.command.lower, task.command.upper),
        sensor_delay=delay_range(recipe.randomisation, "sensor"),
        action_delay=delay_range(recipe.randomisation, "action"),
        training_envelope=signal_statistics(
            {name: values.reshape(-1, *values.shape[2:]) for name, values in signals.items()}
        ),
        randomisation=recipe.randomisation.describe(),
        monitors={},
        provenance=made,
    )
    golden = {name: values[:GOLDEN_STEPS, :_GOLDEN_ROBOTS] for name, values in signals.items()}
    return export_bundle(path, controller, contract, golden, unchecked_card(contract, task.title), {})


def package_run(directory: Path, path: Path, reporter: Reporter) -> Path:
    """Write the bundle of a run at its newest checkpoint, finished or not, as `package` does.

    Raises:
        UsageError: `directory` is not that of a run.
        CheckpointError: it holds no checkpoint that is whole.
        BundleError: as `package`.
    """
    recipe, trainer = training.restored(directory, reporter)
    trainer.env.close()
    command = shlex.split(RunDirectory.existing(directory).read_json(PROVENANCE)["command"])
    return package(recipe, trainer.controller, origin(recipe, trainer, command), path)


def origin(recipe: Recipe, trainer: Trainer, command: Sequence[str]) -> Provenance:
    """Where a trained controller comes from; `command` is what trained it."""
    return provenance.collect(recipe, recipe.seed, trainer.summary(), command)


def with_check(check: Check) -> Path:
    """Write the check's figures and pictures into the card of the bundle that was checked.

    Raises:
        BundleError: the bundle has changed since its check, or is a zip.
    """
    bundle = read_bundle(Path(check.result.bundle))
    if bundle.digest != check.result.digest:
        raise BundleError(f"{bundle.path}: has changed since its check; check it again")
    if not bundle.path.is_dir():
        raise BundleError(f"{bundle.path}: is a zip; write the check into the directory that it was made from")
    card = checked_card(bundle.contract, check.task.title, check.result)
    return write_bundle(bundle.path, bundle.contract, bundle.onnx, bundle.golden, card, plots(check))


def delay_range(randomisation: Randomisation, link: str) -> tuple[float, float]:
    """Shortest and longest delay of `link`, sensor or action, that training drew, s; none where it drew none."""
    ranges = {term.parameter: term.distribution.support for term in randomisation.terms}
    low, high = ranges.get(f"{link}_delay", (0.0, 0.0))
    _, jitter = ranges.get(f"{link}_jitter", (0.0, 0.0))
    return low, high + jitter
