"""The training loop: collect, update, log, checkpoint, until the budget is spent or somebody interrupts."""

from __future__ import annotations

import enum
import math
import time
from pathlib import Path
from typing import Any

import torch

from policies.algorithms.ppo import PPO
from policies.checkpoint import CheckpointStore, random_state, set_random_state
from policies.collector import Collector, Environment, Monitors
from policies.config import TrainConfig
from policies.controller import Controller
from policies.interrupt import Interrupt
from policies.logging import TrainingLog
from policies.progress import Reporter
from policies.storage import RolloutStorage

_BEST = {"episode/return": max, "task/tracking_error": min}


class Outcome(enum.Enum):
    """Why training ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"


class Trainer:
    """Trains one controller in one set of environments, in one directory.

    Attributes:
        iteration: iterations completed.
        steps: control steps taken, of all environments together.
        seconds: wall-clock time spent training, earlier parts of a resumed run included.
        best: best value so far of some figures, and the iteration it was reached in.
    """

    def __init__(
        self,
        env: Environment,
        controller: Controller,
        algorithm: PPO,
        config: TrainConfig,
        directory: Path,
        reporter: Reporter,
        monitors: Monitors | None = None,
    ) -> None:
        self.env = env
        self.controller = controller
        self.algorithm = algorithm
        self.config = config
        self.directory = directory
        self.reporter = reporter
        self.checkpoints = CheckpointStore(directory / "checkpoints", config.keep_checkpoints)
        self.collector = Collector(env, controller, algorithm, monitors)
        self.storage = RolloutStorage(
            algorithm.config.rollout_steps,
            env.num_envs,
            controller.feature_dim,
            env.critic_dim,
            controller.action_dim,
            device=env.device,
        )
        self.iteration = 0
        self.steps = 0
        self.seconds = 0.0
        self.best: dict[str, dict[str, float]] = {}
        self._saved_at = -1

    def train(self) -> Outcome:
        """Train until the budget is spent or a signal asks to stop; either way the last state is saved.

        Raises:
            TrainingDivergedError: numbers stopped being finite; the last checkpoint is from before.
            CheckpointError: a checkpoint could not be written; the earlier ones are intact.
            LandbridgeError: the log could not be written.
        """
        log = TrainingLog(self.directory, self.iteration)
        rate = _Rate(self.steps, self.seconds)
        begun = time.perf_counter() - self.seconds
        try:
            with Interrupt() as interrupt:
                if self.steps == 0:
                    self._warm_up()
                    self.seconds = time.perf_counter() - begun
                while self._spent() < 1.0 and not interrupt.requested:
                    figures = self._iterate()
                    self.seconds = time.perf_counter() - begun
                    figures |= {"steps": float(self.steps), "seconds": self.seconds}
                    log.write(self.iteration, figures)
                    log.write_episodes(self.iteration, self.env.finished)
                    self.env.finished.clear()
                    left = self._seconds_left(rate.steps_per_second(self.steps, self.seconds))
                    self.reporter.report(self.iteration, self._spent(), left, figures)
                    if self.iteration % self.config.checkpoint_every == 0:
                        self.save()
                if self._saved_at != self.iteration:
                    self.save()
        finally:
            log.close()
        return Outcome.INTERRUPTED if self._spent() < 1.0 else Outcome.FINISHED

    def save(self) -> Path:
        """Write a checkpoint of everything: `resume` goes on from it bit for bit."""
        path = self.checkpoints.save(
            self.iteration,
            {
                "iteration": self.iteration,
                "steps": self.steps,
                "seconds": self.seconds,
                "best": self.best,
                "algorithm": self.algorithm.checkpoint(),
                "collector": self.collector.checkpoint(),
                "env": self.env.state_dict(),
                "random": random_state(),
            },
        )
        self._saved_at = self.iteration
        return path

    def resume(self, *, environments: bool = True) -> None:
        """Go on from the newest checkpoint in the directory that is whole.

        Args:
            environments: restore where each robot was, too; of no use to whoever only wants the networks.

        Raises:
            CheckpointError: there is none.
        """
        state, path, damaged = self.checkpoints.load_newest()
        for sentence in damaged:
            self.reporter.note(f"{sentence}; going back to {path.name}")
        self.algorithm.restore(state["algorithm"])
        if environments:
            self.env.load_state_dict(state["env"])
            self.collector.restore(state["collector"])
        self.iteration, self.steps = state["iteration"], state["steps"]
        self.seconds, self.best = state["seconds"], state["best"]
        self._saved_at = self.iteration
        set_random_state(state["random"])

    def summary(self) -> dict[str, Any]:
        """Figures of the whole run, for provenance."""
        return {
            "iterations": self.iteration,
            "steps": self.steps,
            "wall_time_s": round(self.seconds, 1),
            "num_envs": self.env.num_envs,
            "best": self.best,
        }

    def _iterate(self) -> dict[str, float]:
        start = time.perf_counter()
        torch.set_num_threads(self.config.collect_threads)
        figures = self.collector.collect(self.storage)
        collected = time.perf_counter()
        torch.set_num_threads(self.config.update_threads)
        figures |= self.algorithm.update(self.storage, self._spent())
        end = time.perf_counter()

        self.iteration += 1
        self.steps += len(self.storage)
        for name, better in _BEST.items():
            if name in figures:
                best = self.best.get(name, {"value": figures[name]})["value"]
                if better(figures[name], best) == figures[name]:
                    self.best[name] = {"value": figures[name], "iteration": float(self.iteration)}
        return {
            **figures,
            "speed/steps_per_second": len(self.storage) / (end - start),
            "speed/collect_share": (collected - start) / (end - start),
            "speed/update_share": (end - collected) / (end - start),
            "speed/monitor_share": self.collector.monitor_seconds / (end - start),
        }

    def _warm_up(self) -> None:
        """One rollout of the untrained policy, only to give the normalisers their first statistics."""
        self.collector.collect(self.storage)
        self.algorithm.absorb(self.storage)
        self.steps += len(self.storage)

    def _spent(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        shares = [0.0]
        if self.config.steps is not None:
            shares.append(self.steps / self.config.steps)
        if self.config.minutes is not None:
            shares.append(self.seconds / (60.0 * self.config.minutes))
        return min(1.0, max(shares))

    def _seconds_left(self, steps_per_second: float) -> float:
        left = math.inf
        if self.config.steps is not None:
            left = (self.config.steps - self.steps) / steps_per_second
        if self.config.minutes is not None:
            left = min(left, 60.0 * self.config.minutes - self.seconds)
        return max(0.0, left)


class _Rate:
    """Mean rate since training was started or resumed."""

    def __init__(self, steps: int, seconds: float) -> None:
        self._steps = steps
        self._seconds = seconds

    def steps_per_second(self, steps: int, seconds: float) -> float:
        return (steps - self._steps) / max(seconds - self._seconds, 1e-9)
