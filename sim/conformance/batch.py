"""Laws of the batch: environments do not touch each other, equal inputs give equal bits, and what diverges is flagged.

A deviation is the largest difference of any number of state or trace. Laws of bits have no tolerance.
"""

import io
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from contract.errors import UsageError
from sim.conformance.bench import Bench, Setup, place, read, rows, set_parameters
from sim.conformance.joints import ON_THE_RIG
from sim.conformance.law import Law, Measurement, law, law_of_many, worst
from sim.conformance.robots import QUADRUPED
from sim.engines.engine import Engine

_THREE = Setup(QUADRUPED, num_envs=3, physics_dt=0.005, decimation=4)
_STEPS, _MIDDLE = 12, 5
_OTHERS = (0, 2)  # all environments but the one in which something happens

Recording = dict[str, Tensor]


@law_of_many(_THREE)
def determinism(bench: Bench) -> Measurement:
    """Two engines that are built and used alike give the same bits."""
    first = _undisturbed(bench)
    return _same(first, _record(bench.fresh(_THREE)))


@law_of_many(_THREE)
def reset_forgets(bench: Bench) -> Measurement:
    """After a reset the past is forgotten: a used engine goes on as a new one would."""
    expected = _undisturbed(bench)
    engine = bench.fresh(_THREE)
    _record(engine, seed=1)
    place(engine)
    return _same(expected, _record(engine))


@law_of_many(_THREE)
def reset_isolation(bench: Bench) -> Measurement:
    """A reset of one environment leaves every bit of the others as it was."""
    return _isolated(bench, lambda engine, targets: place(engine, [1], root_pos=(0.5, 0.0, 1.0)))


@law_of_many(_THREE)
def push_isolation(bench: Bench) -> Measurement:
    """A push of one environment leaves every bit of the others as it was."""

    def disturb(engine: Engine, targets: Tensor) -> None:
        engine.push(rows(engine, [1]), *torch.full((2, 1, 3), 0.5, device=engine.device))

    return _isolated(bench, disturb)


@law_of_many(_THREE)
def parameter_isolation(bench: Bench) -> Measurement:
    """Parameters set in one environment leave every bit of the others as it was."""

    def disturb(engine: Engine, targets: Tensor) -> None:
        nominal = {name: torch.as_tensor(known.nominal) for name, known in engine.capabilities.parameters.items()}
        set_parameters(engine, {name: 0.1 + 0.9 * value for name, value in nominal.items()}, [1])

    return _isolated(bench, disturb)


@law_of_many(_THREE)
def divergence_isolation(bench: Bench) -> Measurement:
    """An environment that diverges leaves every bit of the others as it was."""

    def disturb(engine: Engine, targets: Tensor) -> None:
        targets[1, 1] = math.nan

    return _isolated(bench, disturb)


@law(_THREE)
def divergence(engine: Engine) -> Measurement:
    """An environment whose state stops being finite is flagged, alone, shows finite numbers, and a reset heals it."""
    wrong = 0
    for fault in (math.nan, math.inf):
        place(engine)
        targets = _targets(engine, seed=0)
        targets[0, 1, -1, 2] = fault
        engine.step(targets[0])
        wrong += engine.diverged.tolist() != [False, True, False]
        wrong += sum(not value.isfinite().all() for value in _fields(engine).values())
        place(engine, [1])
        wrong += bool(engine.diverged.any())
        engine.step(targets[1])
        wrong += bool(engine.diverged.any())
    return Measurement(float(wrong), 0.0, "1", "none: a count of broken promises")


@law_of_many(_THREE)
def checkpoint(bench: Bench) -> Measurement:
    """A new engine that loads a saved state goes on bit for bit, its parameters included."""
    engine = bench.fresh(_THREE)
    _randomise(engine)
    _record(engine, steps=_MIDDLE)
    file = io.BytesIO()
    torch.save(engine.state_dict(), file)
    expected = _record(engine, seed=1)
    file.seek(0)
    engine = bench.fresh(_THREE)
    engine.load_state_dict(torch.load(file, weights_only=True))
    return _same(expected, _record(engine, seed=1))


@law_of_many(_THREE)
def trace_end(bench: Bench) -> Measurement:
    """The last sample of the trace is the state."""
    recording = _undisturbed(bench)
    traces = [name for name in recording if name.startswith("trace_")]
    differences = [recording[name][:, :, -1] - recording[name.removeprefix("trace_")] for name in traces]
    return Measurement(worst(*differences), 0.0, "any", "none: the same numbers")


@law(_THREE)
def layout(engine: Engine) -> Measurement:
    """Fields of state and trace are float32 tensors on the engine's device, of the shapes that the protocol gives."""
    engine.step(_targets(engine, seed=0)[0])
    joints, feet, geoms = engine.robot.num_joints, len(engine.robot.feet), len(engine.contact_geoms)
    sizes = {
        "root_pos": (3,), "root_quat": (4,), "root_lin_vel": (3,), "root_ang_vel": (3,),
        "joint_pos": (joints,), "joint_vel": (joints,), "joint_torque": (joints,), "contact_force": (geoms,),
        "foot_pos": (feet, 3), "foot_vel": (feet, 3),
    }  # fmt: skip
    wrong = 0
    for name, size in sizes.items():
        wrong += not _is(getattr(engine.state, name), (engine.num_envs, *size), engine.device)
    for name in vars(engine.trace):
        wrong += not _is(getattr(engine.trace, name), (engine.num_envs, engine.decimation, *sizes[name]), engine.device)
    feet_named = [engine.contact_geoms[column] for column in engine.foot_columns]
    wrong += feet_named != [foot.geom for foot in engine.robot.feet]
    return Measurement(float(wrong), 0.0, "1", "none: a count of wrong fields")


@law(ON_THE_RIG)
def refusals(engine: Engine) -> Measurement:
    """What an engine does not have it refuses: a parameter without that name, and a push of a base that is fixed."""
    everyone, zero = rows(engine), torch.zeros(engine.num_envs, 3, device=engine.device)
    attempts: Sequence[Callable[[], None]] = (
        lambda: engine.set_parameters(everyone, {"no_such_parameter": zero[:, :1]}),
        lambda: engine.push(everyone, zero, zero),
    )
    return Measurement(
        float(sum(not _refused(attempt) for attempt in attempts)), 0.0, "1", "none: a count of silent ones"
    )


def _undisturbed(bench: Bench) -> Recording:
    """What a new engine does when nothing happens to it."""
    if "undisturbed" not in bench.memory:
        bench.memory["undisturbed"] = _record(bench.fresh(_THREE))
    return bench.memory["undisturbed"]


def _isolated(bench: Bench, disturb: Callable[[Engine, Tensor], None]) -> Measurement:
    """`_OTHERS` of an undisturbed engine against those of one where something happens in the middle."""
    expected = _undisturbed(bench)
    found = _record(bench.fresh(_THREE), disturb=disturb)
    return _same(*({name: value[:, list(_OTHERS)] for name, value in each.items()} for each in (expected, found)))


def _record(
    engine: Engine, steps: int = _STEPS, seed: int = 0, disturb: Callable[[Engine, Tensor], None] | None = None
) -> Recording:
    """All fields after each step, (steps, N, ...). `disturb` gets engine and targets (N, S, J) in the middle."""
    targets, recorded = _targets(engine, seed), []
    for step in range(steps):
        if disturb is not None and step == _MIDDLE:
            disturb(engine, targets[step])
        engine.step(targets[step])
        recorded.append(_fields(engine))
    return {name: torch.stack([fields[name] for fields in recorded]) for name in recorded[0]}


def _targets(engine: Engine, seed: int) -> Tensor:
    """Seeded joint targets that make a robot stumble, (_STEPS, N, decimation, J)."""
    robot, generator = engine.robot, torch.Generator().manual_seed(seed)
    noise = torch.randn(_STEPS, engine.num_envs, engine.decimation, robot.num_joints, generator=generator)
    return (torch.from_numpy(robot.default_joint_pos).float() + 0.3 * noise).to(engine.device)


def _randomise(engine: Engine) -> None:
    """Other parameters in each environment."""
    for name, known in engine.capabilities.parameters.items():
        nominal = torch.as_tensor(known.nominal).expand(engine.num_envs, known.size)
        set_parameters(engine, {name: nominal + 0.01 * torch.arange(engine.num_envs)[:, None]})


def _fields(engine: Engine) -> Recording:
    fields = {**vars(engine.state), **{f"trace_{name}": value for name, value in vars(engine.trace).items()}}
    return {name: read(value) for name, value in fields.items()}


def _same(expected: Recording, found: Recording) -> Measurement:
    return Measurement(
        deviation=worst(*(expected[name] - found[name] for name in expected)),
        tolerance=0.0,
        unit="any",
        reason="none: the same operations in the same order give the same bits",
    )


def _is(value: Tensor, shape: tuple[int, ...], device: torch.device) -> bool:
    return value.shape == shape and value.dtype == torch.float32 and value.device == device


def _refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except UsageError:
        return True
    return False


LAWS: tuple[Law, ...] = (
    determinism,
    reset_forgets,
    reset_isolation,
    push_isolation,
    parameter_isolation,
    divergence_isolation,
    checkpoint,
    trace_end,
    divergence,
    layout,
    refusals,
)
