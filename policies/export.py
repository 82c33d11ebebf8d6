"""From a trained Controller to a policy bundle: graph, golden traces, contract, and proof that they agree.

Export traces the module that training stepped; nothing about observations or actions is written again.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.bundle import ONNX, Bundle, write_bundle
from contract.errors import BundleError
from contract.golden import Golden
from contract.policy_contract import (
    CommandRange,
    Contract,
    Delay,
    Provenance,
    SignalStatistics,
    check_robot,
    to_json,
)
from contract.robot import Robot
from deploy_robot.onnx_policy import GOLDEN_TOLERANCE, OnnxPolicy
from policies.controller import Controller
from sim.env import VecEnv

GOLDEN_STEPS = 200
"""Control periods of a trace that proves agreement: several seconds of walking."""

_TRACED_BATCH = 2  # torch specialises sizes of 0 and 1
_DESCRIPTIONS = ("doc_string", "metadata_props")


def export_onnx(controller: Controller) -> bytes:
    """The controller's `forward` as one ONNX file: signals and memory in, joint_target and next memory out.

    Every tensor has a dynamic first axis for the batch. Weights are inside; nothing about this machine is.

    Raises:
        BundleError: naming a signal that no sensor of a robot measures.
    """
    for signal in controller.inputs:
        if not signal.measurable:
            raise BundleError(
                f"{signal.name}: the policy reads it, and no sensor measures it: train the actor without it"
            )
    graph = _Positional(_frozen(controller))
    example = tuple(torch.zeros(_TRACED_BATCH, *signal.shape) for signal in graph.signals)
    batch = torch.export.Dim("batch")
    with _quiet_exporter():
        program = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[signal.name for signal in graph.signals],
            output_names=[controller.output.name, *(f"next_{signal.name}" for signal in controller.memory)],
            dynamic_shapes=(tuple({0: batch} for _ in example),),
        )
    assert program is not None
    model = program.model_proto
    _strip_descriptions(model)
    data: bytes = model.SerializeToString()
    return data


def closed_loop_signals(
    controller: Controller, env: VecEnv, steps: int = GOLDEN_STEPS
) -> dict[str, NDArray[np.float32]]:
    """What the sensors report while the controller drives `env`: `(steps, num_envs, *shape)` by name."""
    controller = _frozen(controller)
    memory = controller.initial_memory(env.num_envs)
    recorded: dict[str, list[NDArray[np.float32]]] = {signal.name: [] for signal in controller.inputs}
    with torch.inference_mode():
        for _ in range(steps):
            signals = {name: env.signals[name].cpu() for name in recorded}
            for name, trace in recorded.items():
                trace.append(signals[name].numpy().astype(np.float32))
            target, memory = controller(signals, memory)
            # Memory is kept when an episode ends: whoever replays the trace does not know of episodes.
            env.step(target.to(env.device))
    return {name: np.stack(trace) for name, trace in recorded.items()}


def record_golden(controller: Controller, signals: Mapping[str, NDArray[np.floating]]) -> Golden:
    """Feed signals, `(T, B, *shape)` each, from zero memory; record every output and every next memory."""
    controller = _frozen(controller)
    inputs = {signal.name: np.asarray(signals[signal.name], np.float32) for signal in controller.inputs}
    steps, batch = next(iter(inputs.values())).shape[:2]
    memory = controller.initial_memory(batch)
    outputs: defaultdict[str, list[NDArray[np.float32]]] = defaultdict(list)
    with torch.inference_mode():
        for t in range(steps):
            target, memory = controller({k: torch.from_numpy(v[t]) for k, v in inputs.items()}, memory)
            after = {controller.output.name: target, **{f"next_{k}": v for k, v in memory.items()}}
            for name, value in after.items():
                outputs[name].append(value.numpy().copy())
    return Golden(inputs, {name: np.stack(values) for name, values in outputs.items()})


def make_contract(
    controller: Controller,
    robot: Robot,
    *,
    task: str,
    control_period: float,
    command: CommandRange,
    sensor_delay: tuple[float, float],
    action_delay: tuple[float, float],
    training_envelope: Mapping[str, SignalStatistics],
    randomisation: Mapping[str, Any],
    monitors: Mapping[str, float],
    provenance: Provenance,
) -> Contract:
    """The contract of a controller that was trained on `robot`.

    Args:
        control_period: s.
        command: the commands that training drew.
        sensor_delay, action_delay: shortest and longest that training drew, s.
        training_envelope: what `policies.envelope.signal_statistics` gave.
        randomisation: JSON that says what was randomised.
        monitors: safety thresholds by name; they may tighten the robot's limits.

    Raises:
        BundleError: naming the field that does not hold.
    """
    if controller.config.gait and controller.config.control_period != control_period:
        raise BundleError(
            f"contract.json: control_period: {control_period!r} s, and the controller's gait clock advances by"
            f" {controller.config.control_period!r} s a step: give both the task's period"
        )
    lower, upper = _target_range(controller)
    contract = Contract(
        robot=robot.name,
        task=task,
        control_period=control_period,
        inputs=controller.inputs,
        memory=controller.memory,
        outputs=(controller.output,),
        joint_names=robot.joint_names,
        kp=tuple(joint.kp for joint in robot.joints),
        kd=tuple(joint.kd for joint in robot.joints),
        default_joint_pos=tuple(joint.default_pos for joint in robot.joints),
        joint_lower=tuple(joint.lower for joint in robot.joints),
        joint_upper=tuple(joint.upper for joint in robot.joints),
        velocity_limit=tuple(joint.velocity_limit for joint in robot.joints),
        effort_limit=tuple(joint.effort_limit for joint in robot.joints),
        action_lower=tuple(max(a, joint.lower) for a, joint in zip(lower, robot.joints, strict=True)),
        action_upper=tuple(min(a, joint.upper) for a, joint in zip(upper, robot.joints, strict=True)),
        command_ranges={controller.command_name: command},
        sensor_delay=Delay(*sensor_delay),
        action_delay=Delay(*action_delay),
        training_envelope=training_envelope,
        randomisation=randomisation,
        monitors=monitors,
        provenance=provenance,
    )
    to_json(contract)
    check_robot(contract, robot)
    return contract


def export_bundle(
    path: Path,
    controller: Controller,
    contract: Contract,
    signals: Mapping[str, NDArray[np.floating]],
    card: str,
    plots: Mapping[str, bytes],
) -> Path:
    """Export the controller and write the bundle, if onnxruntime does with the graph what torch does.

    Args:
        path: the bundle's directory.
        signals: a closed loop of GOLDEN_STEPS steps or more (`closed_loop_signals`), for the golden traces.
        card: Markdown.
        plots: PNG images by name.

    Raises:
        BundleError: naming the signal, field, or first step and joint that is wrong; nothing is then written.
    """
    golden = record_golden(controller, signals)
    if golden.steps < GOLDEN_STEPS:
        raise BundleError(f"golden.npz: {golden.steps} steps are too few: give at least {GOLDEN_STEPS}")
    onnx = export_onnx(controller)
    prove_agreement(controller, Bundle(path, contract, golden, {ONNX: onnx}, digest=""))
    return write_bundle(path, contract, onnx, golden, card, plots)


def prove_agreement(controller: Controller, bundle: Bundle, atol: float = GOLDEN_TOLERANCE) -> float:
    """Module, graph and traces side by side over the golden signals, each with its own memory.

    Returns:
        The largest absolute difference between any two of them.

    Raises:
        BundleError: naming the first step and joint at which two of them differ by more than `atol`.
    """
    golden = bundle.golden
    policy = OnnxPolicy(bundle, batch=golden.batch)
    largest = policy.replay_golden(atol)
    controller = _frozen(controller)
    memory = controller.initial_memory(golden.batch)
    with torch.inference_mode():
        for t in range(golden.steps):
            signals = {name: trace[t] for name, trace in golden.inputs.items()}
            target, memory = controller({k: torch.from_numpy(v) for k, v in signals.items()}, memory)
            torch_target = target.numpy().astype(np.float64)
            for other, name in (
                (policy.step(signals), "onnxruntime"),
                (golden.outputs[controller.output.name][t], "golden.npz"),
            ):
                difference = np.abs(torch_target - other)
                if not difference.max() <= atol:
                    joint = bundle.contract.joint_names[int(np.argmax(difference.max(axis=0)))]
                    raise BundleError(
                        f"{ONNX}: torch and {name} part at step {t}, joint {joint}: difference"
                        f" {difference.max():.3g} rad > {atol:g}"
                    )
                largest = max(largest, float(difference.max()))
    return largest


class _Positional(nn.Module):
    """The controller with one argument a tensor, in the order of `signals`, as a graph has them."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller
        self.signals = controller.inputs + controller.memory

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        named = {signal.name: tensor for signal, tensor in zip(self.signals, tensors, strict=True)}
        memory = {signal.name: named.pop(signal.name) for signal in self.controller.memory}
        target, memory = self.controller(named, memory)
        return target, *(memory[signal.name] for signal in self.controller.memory)


def _frozen(controller: Controller) -> Controller:
    """A copy as it will be exported: on the CPU, in float32, out of training."""
    return copy.deepcopy(controller).cpu().float().eval()


def _target_range(controller: Controller) -> tuple[list[float], list[float]]:
    """Smallest and largest joint target that the controller can give, (J,) rad, in its own arithmetic."""
    controller = _frozen(controller)
    memory = controller.initial_memory(1)
    if controller.config.gait:
        # Standing in the first row; then each joint's clock at the full swing, sin^2(2 pi / 4).
        full_swing = 0.25 - controller.gait_phase
        memory = controller.initial_memory(1 + len(full_swing))
        memory["phase"][1:, 0] = full_swing
        memory["moving"][1:] = 1.0
    extreme = torch.full((len(memory["last_action"]), controller.action_dim), torch.inf)
    with torch.inference_mode():
        lower = controller.act(-extreme, memory)[0].amin(dim=0)
        upper = controller.act(extreme, memory)[0].amax(dim=0)
    return lower.tolist(), upper.tolist()


def _strip_descriptions(message: Any) -> None:
    """Drop what only describes from a protobuf message: torch writes stack traces, with paths, into nodes."""
    for field, value in message.ListFields():
        if field.name in _DESCRIPTIONS:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for item in (value,) if hasattr(value, "ListFields") else value:
                _strip_descriptions(item)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter reports optional packages and its own deprecations, which no user can act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
