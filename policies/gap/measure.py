"""The gap between two physics engines under one policy: what parts first, when, how far, and whose fault it is."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import contract.robots
from contract.bundle import read_bundle
from contract.errors import BundleError, UsageError
from contract.policy_contract import check_robot
from contract.robot import Robot
from deploy_robot.onnx_policy import OnnxPolicy
from domain_rand.spec import Randomisation
from policies.check_rollout import check_fits
from policies.evaluation import Bar, training_randomisation
from policies.gap import verdict as verdict
from policies.gap.contract import Probes, findings, other_joints, replayed
from policies.gap.course import Leg, course
from policies.gap.equivalent import Explanation, Search
from policies.gap.finding import Finding
from policies.gap.joints import match_responses
from policies.gap.lab import Lab, probe, reset_error
from policies.gap.parting import Channel, Parting, channels, first_to_part, partings
from policies.gap.physics import Difference, Touch, differences, touch
from policies.gap.run import CLOSED, ROWS, Progress, Run, run
from sim import engines, tasks

STATES = 96
"""States of the run from which single periods are compared."""


@dataclass(frozen=True)
class GapResult:
    """What the comparison found.

    Attributes:
        first, second: the engines; `second` says so where it is the first once more.
        leg_seconds: length of each leg of the course, s.
        cause: `contract`, `task`, `physics`, `policy`, or `none`.
        summary: the verdict in a sentence.
        parts_first: the earliest parting of the closed loop, None if nothing parts.
        closed, open: the partings of each group, in causal order.
        falls: by engine, when each run fell, s, None where it stood: closed, open, then the closed ones under noise.
        findings: everything that has a name, the cause first.
        differences: of one control period. touch: how far contact differs in it.
        explanations: what the differences are like; empty where nothing differs, or a breach comes first.
    """

    bundle: str
    digest: str
    task: str
    robot: str
    first: str
    second: str
    seed: int
    legs: tuple[Leg, ...]
    leg_seconds: float
    wall_time: float  # s
    cause: str
    summary: str
    bars: tuple[Bar, ...]
    parts_first: Parting | None
    closed: tuple[Parting, ...]
    open: tuple[Parting, ...]
    falls: dict[str, tuple[float | None, ...]]
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    touch: Touch | None
    explanations: tuple[Explanation, ...]

    @property
    def passed(self) -> bool:
        """Whether the gap is within every bar."""
        return all(bar.passed for bar in self.bars)


@dataclass(frozen=True, eq=False)
class Gap:
    """A result with the recordings that it was worked out from."""

    result: GapResult
    robot: Robot
    runs: tuple[Run, Run]
    channels: dict[str, list[Channel]]  # by loop, `closed` and `open`
    probes: tuple[Probes, Probes]


def measure(
    bundle: Path,
    first: str,
    second: str,
    *,
    leg_seconds: float | None = None,
    states: int = STATES,
    randomisation: Randomisation | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Gap:
    """Compare a bundle's policy in two engines. Equal arguments give equal figures on one machine.

    Args:
        bundle: directory or zip.
        first, second: names of engines; the same name twice must give no gap.
        leg_seconds: length of each leg of the course, s; by default what the task needs to settle and a second more.
        states: how many states of the run single periods are compared from.
        randomisation: what training drew from, `training_randomisation` of the task if None: the yardstick.
        seed: of the initial state, the noise, and the random states.
        threads: physics threads, all cores if None.
        device: as `sim.engines.make` takes it.
        progress: called with (control steps done, in all).

    Raises:
        UsageError: no such engine, or a leg too short.
        ModuleNotFoundError: an engine is not installed.
        BundleError: the bundle is damaged, or made for another robot or task than this installation has.
    """
    began = time.monotonic()
    for name in (first, second):
        missing = engines.missing_module(name)
        if missing is not None:
            raise ModuleNotFoundError(f"engine {name} needs {missing}", name=missing)
    artefact = read_bundle(bundle)
    promised = artefact.contract
    try:
        task = tasks.load(promised.task)
    except UsageError as error:
        raise BundleError(f"contract.json: task: {error}") from None
    robot = contract.robots.load(task.robot)
    check_robot(promised, robot)
    if task.command.name not in promised.command_ranges:
        raise BundleError(
            f"contract.json: command_ranges: none for signal {task.command.name!r}, which the task commands"
        )
    if randomisation is None:
        randomisation = training_randomisation(task.name)
    policy = OnnxPolicy(artefact, batch=ROWS)
    policy.replay_golden()
    way = course(task, robot, seed, leg_seconds)
    lab = Lab(task, robot, max(states, 1 + robot.num_joints), seed, threads, device)
    label = second if second != first else f"{second} (again)"

    # The whole course, in both.
    total = 2 * len(way.commands)
    with lab.course_env(first, randomisation) as env:
        check_fits(promised, env)
        here = run(policy, env, first, way, None, _part(progress, 0, total))
    with lab.course_env(second, randomisation) as env:
        there = run(policy, env, label, way, here.target[:, CLOSED], _part(progress, len(way.commands), total))
    there = replace(there, contact=_in_order(there.contact, there.contact_geoms, here.contact_geoms))

    # Single periods from equal states, in both. One engine at a time: some are only once in a process.
    with lab.bench(second, here) as bench:
        pair = bench.pair()
        theirs = replace(
            pair,
            ground=replace(
                pair.ground, contact=_in_order(pair.ground.contact, there.contact_geoms, here.contact_geoms)
            ),
        )
        their_probe, their_error = probe(label, bench, seed), reset_error(bench, there)
    with lab.bench(first, here, finer=2) as bench:
        halved = bench.pair()
    with lab.bench(first, here) as bench:
        ours, trained = bench.pair(), bench.trained(randomisation, seed)
        our_probe, our_error = probe(first, bench, seed), reset_error(bench, here)
        rows = differences(
            ours,
            theirs,
            halved,
            trained,
            {channel: max(error, their_error[channel]) for channel, error in our_error.items()},
            _components(robot, here),
        )
        replays = {one.engine: replayed(policy, one) for one in (here, there)}
        found = findings(promised, robot, our_probe, their_probe, replays)
        found += verdict.of_task(task, promised, way, (first, ours.ground), (label, theirs.ground))
        explanations: list[Explanation] = []
        if not found and verdict.noticed(rows) and not robot.feet:
            found += other_joints(match_responses(bench, theirs.air), robot.joint_names, first, label)
        if not found and verdict.noticed(rows):
            explanations = Search(bench, bench.knobs(randomisation), ours, theirs, halved, rows).run()

    touched = touch(ours.ground, theirs.ground)
    loops = {loop: channels(here, there, loop, promised, robot) for loop in ("closed", "open")}
    closed, opened = (partings(every, loop, here.period) for loop, every in loops.items())
    if not found:
        found += verdict.of_physics(rows, explanations, touched, first, label)
    found += verdict.of_policy(found, closed, label, first, here.period)
    bars = verdict.bars(task, robot, way, here, there, found)
    found += verdict.alike(bars, here, there, found)
    cause, summary = verdict.summary(found, bars, first, label)
    result = GapResult(
        bundle=str(bundle),
        digest=artefact.digest,
        task=task.name,
        robot=robot.name,
        first=first,
        second=label,
        seed=seed,
        legs=way.legs,
        leg_seconds=way.steps * task.control_period,
        wall_time=time.monotonic() - began,
        cause=cause,
        summary=summary,
        bars=bars,
        parts_first=first_to_part(closed, here.period),
        closed=tuple(closed),
        open=tuple(opened),
        falls={one.engine: tuple(one.fall_time(row) for row in range(ROWS)) for one in (here, there)},
        findings=tuple(sorted(found, key=lambda f: verdict.ORDER.index(f.fault))),
        differences=tuple(rows),
        touch=touched,
        explanations=tuple(explanations),
    )
    return Gap(result, robot, (here, there), loops, (our_probe, their_probe))


def _part(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of a run that begins after `before` steps of `total`."""
    return None if progress is None else lambda done, _: progress(before + done, total)


def _in_order(values: NDArray[np.float32], names: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.float32]:
    """Columns in the order `wanted`; as they are where the names are not the same ones."""
    return values[..., [names.index(name) for name in wanted]] if set(names) == set(wanted) else values


def _components(robot: Robot, run: Run) -> dict[str, tuple[str, ...]]:
    """Channels of `policies.gap.physics.CHANNELS` that this robot has, and their components."""
    axes, joints = ("x", "y", "z"), robot.joint_names
    moving = {} if robot.fixed_base else {"base velocity": axes, "base rotation": axes, "contact": run.contact_geoms}
    return {"joint velocity": joints, "torque": joints, **moving}
