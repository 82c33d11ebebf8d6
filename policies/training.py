"""From a recipe to a trainer: a new run, or an earlier one that goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from domain_rand import file
from domain_rand.randomiser import EpisodeRandomiser
from policies import provenance, recipes
from policies.algorithms.ppo import PPO
from policies.controller import Controller
from policies.progress import Reporter
from policies.recipe import Recipe, differences, plain, with_arguments
from policies.run_directory import CONFIG, PROVENANCE, RANDOMISATION, RunDirectory
from policies.trainer import Trainer
from policies.training_monitors import TrainingMonitors
from sim import tasks
from sim.env import VecEnv

# Budget and threads may change when a run goes on; whatever else has changed is said.
_FREE_TO_CHANGE = "train."

_RANDOMISATION = "--randomisation"


def build_controller(recipe: Recipe, env: VecEnv) -> Controller:
    """The untrained controller of a recipe, for the robot and the signals of its task."""
    command = env.task.command
    return Controller(env.robot, env.task.signals, command.lower, command.upper, recipe.controller)


def build_trainer(recipe: Recipe, directory: Path, reporter: Reporter) -> Trainer:
    """Environments, controller and algorithm of a recipe, seeded, ready to train or to resume."""
    env = VecEnv(
        tasks.load(recipe.task),
        recipe.num_envs,
        engine=recipe.engine,
        randomiser=EpisodeRandomiser(recipe.randomisation, recipe.seed),
        seed=recipe.seed,
        device=recipe.device,
    )
    torch.manual_seed(recipe.seed)
    controller = build_controller(recipe, env).to(env.device)
    mirror = recipe.mirror(env, controller) if recipe.mirror else None
    algorithm = PPO(controller, env.critic_dim, recipe.ppo, mirror).to(env.device)
    return Trainer(env, controller, algorithm, recipe.train, directory, reporter, TrainingMonitors(env))


def begin(recipe: Recipe, arguments: tuple[str, ...], out: Path, command: Sequence[str], reporter: Reporter) -> Trainer:
    """A new run of a recipe, changed by `arguments` (see `with_arguments`), in a directory under `out`."""
    recipe = with_arguments(recipe, arguments)
    config = plain(recipe)
    run = RunDirectory.create(out, recipe.name)
    run.write_json(CONFIG, {"recipe": recipe.name, "arguments": list(arguments), "config": config})
    run.write_json(RANDOMISATION, file.content(recipe.randomisation))
    run.write_json(PROVENANCE, dataclasses.asdict(provenance.collect(recipe, recipe.seed, {}, command)))
    return build_trainer(recipe, run.path, reporter)


def go_on(path: Path, arguments: tuple[str, ...], command: Sequence[str], reporter: Reporter) -> Trainer:
    """An earlier run, from its newest checkpoint, with the recipe and arguments it had and then `arguments`.

    Raises:
        UsageError: `path` is not the directory of a run.
        CheckpointError: it holds no checkpoint that is whole.
    """
    run = RunDirectory.existing(path)
    saved = run.read_json(CONFIG)
    recipe = with_arguments(recipes.load(saved["recipe"]), (*_arguments(run), *arguments))
    arguments = (*saved["arguments"], *arguments)
    config = plain(recipe)
    for line in differences(saved["config"], config):
        if not line.startswith(_FREE_TO_CHANGE):
            reporter.note(f"changed since this run began: {line}")
    trainer = build_trainer(recipe, run.path, reporter)
    trainer.resume()
    run.write_json(CONFIG, {"recipe": recipe.name, "arguments": list(arguments), "config": config})
    run.write_json(RANDOMISATION, file.content(recipe.randomisation))
    origin = run.read_json(PROVENANCE)
    again = provenance.collect(recipe, recipe.seed, {"resumed_at": trainer.iteration}, command)
    run.write_json(PROVENANCE, {**origin, "resumed": [*origin.get("resumed", []), dataclasses.asdict(again)]})
    return trainer


def restored(path: Path, reporter: Reporter) -> tuple[Recipe, Trainer]:
    """The recipe of an earlier run and a trainer at its newest checkpoint, to look at or to export; nothing is written.

    Raises:
        UsageError: `path` is not the directory of a run.
        CheckpointError: it holds no checkpoint that is whole.
    """
    run = RunDirectory.existing(path)
    saved = run.read_json(CONFIG)
    recipe = with_arguments(recipes.load(saved["recipe"]), _arguments(run))
    trainer = build_trainer(recipe, run.path, reporter)
    trainer.resume(environments=False)
    return recipe, trainer


def _arguments(run: RunDirectory) -> tuple[str, ...]:
    """Those that a run had. Its randomisation is that which it recorded, whatever has become of the file that it read.

    Only where it was asked for: a recipe's own changes with the recipe, and `go_on` says so.
    """
    arguments = tuple(run.read_json(CONFIG)["arguments"])
    if not any(word.partition("=")[0] == _RANDOMISATION for word in arguments):
        return arguments
    return (*arguments, _RANDOMISATION, str(run.path / RANDOMISATION))
