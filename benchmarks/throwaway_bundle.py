"""A bundle of whatever a controller knows now, for a benchmark to judge and throw away."""

from contextlib import closing
from pathlib import Path

from benchmarks.scene import make_env
from contract.policy_contract import CommandRange
from policies import provenance
from policies.controller import Controller
from policies.envelope import signal_statistics
from policies.export import closed_loop_signals, export_bundle, make_contract
from policies.recipe import Recipe

_ROBOTS = 2  # of the golden traces


def export_throwaway(controller: Controller, recipe: Recipe, path: Path) -> Path:
    """Export to `path`. The contract's robot and interface are the real ones, its training data are not kept."""
    with closing(make_env(_ROBOTS, threads=1)) as env:
        signals = closed_loop_signals(controller, env)
        command = env.task.command
        contract = make_contract(
            controller,
            env.robot,
            task=env.task.name,
            control_period=env.control_period,
            command=CommandRange(command.elements, command.lower, command.upper),
            sensor_delay=(0.0, 0.0),
            action_delay=(0.0, 0.0),
            training_envelope=signal_statistics({k: v.reshape(-1, *v.shape[2:]) for k, v in signals.items()}),
            randomisation={},
            monitors={},
            provenance=provenance.collect(recipe, recipe.seed, {}),
        )
    return export_bundle(path, controller, contract, signals, "# Made by a benchmark\n", {})
