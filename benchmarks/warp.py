"""The GPU engine, and the whole environment on it, against plain MuJoCo Warp stepping the same model."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.results import Aim, Row
from benchmarks.scene import ACTION, RECIPE
from benchmarks.timing import rate_ratio, take_turns
from domain_rand.randomiser import EpisodeRandomiser
from policies import recipes
from sim import engines, tasks
from sim.env import VecEnv

TITLE = "GPU engine against plain MuJoCo Warp"
ABOUT = (
    "Go2 robots that shuffle, stumble and fall under random joint targets. Plain MuJoCo Warp steps the same model on "
    "the same device from the same states under the same targets, recorded as one graph a control step, with as much "
    "room for contacts and constraints; all its environments share one model, where the engine's differ. It reads "
    "nothing back, watches for no divergence and keeps no trace. The whole environment adds delays, noise, pushes, "
    "rewards, terminations, resets and new draws of every parameter. The clock stops when the device has finished."
)
SIZES = {"cuda": (1024, 4096, 16384), "cpu": (16, 64)}


_UNIT = "environment steps/s"


@dataclass(frozen=True)
class WarpBenchmark:
    """Sizes: environments (by the kind of device if None), control steps a round, rounds, and the device."""

    sizes: tuple[int, ...] | None = None
    steps: int = 10
    rounds: int = 20
    device: str = "auto"

    def run(self) -> Iterator[Row]:
        """For each size the engine alone, then the whole environment."""
        missing = engines.missing_module("mujoco_warp")
        if missing:
            why = f"the module {missing} is not installed: pip install 'landbridge[gpu]'"
            yield Row("engine alone", None, None, _UNIT, None, Aim(0.85), why)
            return
        sizes = self.sizes
        if sizes is None:
            with closing(self._environment(1)) as env:
                sizes = SIZES[env.device.type]
        for size in sizes:
            with closing(self._environment(size)) as env:
                yield from self._compare(env)

    def _environment(self, num_envs: int) -> VecEnv:
        recipe = recipes.load(RECIPE)
        randomiser = EpisodeRandomiser(recipe.randomisation, seed=1)
        task = tasks.load(recipe.task)
        return VecEnv(task, num_envs, engine="mujoco_warp", randomiser=randomiser, seed=1, device=self.device)

    def _compare(self, env: VecEnv) -> Iterator[Row]:
        from benchmarks.warp_plain import Plain, device_name, wait

        plain = Plain(env)
        generator = torch.Generator(env.device).manual_seed(0)
        shape = (self.steps, env.num_envs, env.robot.num_joints)

        def draw() -> Tensor:
            uniform = torch.rand(shape, generator=generator, device=env.device)
            return env.default_joint_pos + ACTION * (2.0 * uniform - 1.0)

        block = [draw()]

        def each(step: Callable[[Tensor], object]) -> Callable[[], None]:
            def run() -> None:
                for targets in block[0]:
                    step(targets)
                wait(env.device)

            return run

        def prepare() -> None:
            each(env.step)()  # not measured: so that the fallen begin anew
            block[0] = draw()
            plain.place(env)

        def engine_step(targets: Tensor) -> None:
            env.engine.step(targets[:, None].expand(-1, env.engine.decimation, -1))

        for what, step, aim in (("engine alone", engine_step, Aim(0.85)), ("whole environment", env.step, None)):
            seconds = take_turns({"ours": each(step), "plain": each(plain.step)}, self.rounds, prepare)
            rate = {name: env.num_envs * self.steps / np.median(taken) for name, taken in seconds.items()}
            yield Row(
                f"{what}, {env.num_envs:,} environments",
                float(rate["ours"]),
                float(rate["plain"]),
                _UNIT,
                rate_ratio(seconds["ours"], seconds["plain"]),
                aim,
                f"on {device_name(env.device)}; {self.rounds} rounds of {self.steps} control steps of "
                f"{env.engine.decimation} physics steps",
            )
