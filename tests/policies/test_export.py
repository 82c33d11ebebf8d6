"""Export: graph, golden traces and module are one thing, and whatever is not is caught."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from contract import robots
from contract.bundle import Bundle, read_bundle
from contract.errors import BundleError
from contract.golden import Golden
from contract.policy_contract import CommandRange, Contract
from contract.signals import Signal
from deploy_robot import graph_scan
from deploy_robot.onnx_policy import OnnxPolicy, load_policy
from policies import export, provenance
from policies.controller import Controller, ControllerConfig
from policies.envelope import signal_statistics
from policies.gait import alternating
from sim import tasks
from sim.env import VecEnv

ROBOT = robots.load("unitree_go2")
JOINTS = (ROBOT.num_joints,)
SIGNALS = (
    Signal("imu_quat", (4,), "1", "world", elements=("w", "x", "y", "z")),
    Signal("gyro", (3,), "rad/s", "imu", elements=("x", "y", "z")),
    Signal("joint_pos", JOINTS, "rad", "joint", elements=ROBOT.joint_names),
    Signal("joint_vel", JOINTS, "rad/s", "joint", elements=ROBOT.joint_names),
    Signal("command", (3,), "m/s, m/s, rad/s", "base", elements=("vx", "vy", "yaw_rate")),
)
COMMAND = CommandRange(("vx", "vy", "yaw_rate"), (-1.0, -0.4, -1.0), (1.0, 0.4, 1.0))


def make_controller(signals: tuple[Signal, ...] = SIGNALS) -> Controller:
    """A controller with a history, a normaliser that has seen data, and actions that use their range."""
    torch.manual_seed(3)
    gait = alternating((0.0, 0.2, -0.4), (0.0, 0.5, 0.5, 0.1), period=0.5, moving=0.1)
    config = ControllerConfig(hidden=(32, 32), history=3, gait=gait)
    controller = Controller(ROBOT, signals, COMMAND.lower, COMMAND.upper, config)
    controller.normalizer.update(1.5 * torch.randn(500, controller.feature_dim) + 0.2)
    last = [module for module in controller.network if isinstance(module, torch.nn.Linear)][-1]
    torch.nn.init.normal_(last.weight, std=0.4)
    return controller


def make_signals(steps: int = export.GOLDEN_STEPS, batch: int = 3) -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(5)
    quat = generator.normal(size=(steps, batch, 4)) * 0.2 + (1.0, 0.0, 0.0, 0.0)
    signals = {
        "imu_quat": quat / np.linalg.norm(quat, axis=-1, keepdims=True),
        "gyro": generator.normal(size=(steps, batch, 3)),
        "joint_pos": ROBOT.default_joint_pos + generator.normal(size=(steps, batch, 12)) * 0.3,
        "joint_vel": generator.normal(size=(steps, batch, 12)) * 4.0,
        "command": generator.uniform(-1.5, 1.5, size=(steps, batch, 3)),
    }
    return {name: value.astype(np.float32) for name, value in signals.items()}


def make_contract(controller: Controller, control_period: float = 0.02) -> Contract:
    return export.make_contract(
        controller,
        ROBOT,
        task="go2-velocity-flat",
        control_period=control_period,
        command=COMMAND,
        sensor_delay=(0.0, 0.005),
        action_delay=(0.0, 0.01),
        training_envelope=signal_statistics({k: v.reshape(-1, v.shape[2]) for k, v in make_signals(50).items()}),
        randomisation={"friction": {"low": 0.4, "high": 1.2}},
        monitors={"tilt": 1.0},
        provenance=provenance.collect({"hidden": 32}, seed=3, training={"steps": 10}, argv=["landbridge", "train"]),
    )


@pytest.fixture(scope="module")
def controller() -> Controller:
    return make_controller()


@pytest.fixture(scope="module")
def bundle(controller: Controller) -> Bundle:
    golden = export.record_golden(controller, make_signals())
    files = {"policy.onnx": export.export_onnx(controller)}
    return Bundle(Path("unwritten"), make_contract(controller), golden, files, digest="")


def test_module_graph_and_traces_agree(controller: Controller, bundle: Bundle) -> None:
    assert bundle.golden.steps == 200
    assert export.prove_agreement(controller, bundle) <= 1e-5


def test_graph_agrees_one_robot_at_a_time(controller: Controller, bundle: Bundle) -> None:
    policy = OnnxPolicy(bundle, batch=1)
    for t in range(60):
        target = policy.step({name: trace[t, 1:2] for name, trace in bundle.golden.inputs.items()})
        np.testing.assert_allclose(target[0], bundle.golden.outputs["joint_target"][t, 1], rtol=0, atol=1e-5)


def test_traces_exercise_every_part(bundle: Bundle) -> None:
    """Targets move, some are at a limit, memory is full: else the traces could not show a bug."""
    target = bundle.golden.outputs["joint_target"]
    assert (target.std(axis=(0, 1)) > 0.05).all()
    assert (target == np.float32(ROBOT.joint_upper)).any()
    assert (bundle.golden.outputs["next_history"][-1] != 0).mean() > 0.9


def test_graph_holds_no_paths_and_no_outside_references(bundle: Bundle) -> None:
    graph_scan.check(bundle.onnx, "policy.onnx")
    for trace_of_this_machine in (
        b".py",
        b"stack_trace",
        str(Path(__file__).parents[2]).encode(),
        b"site-packages",
    ):
        assert trace_of_this_machine not in bundle.onnx


def test_export_leaves_the_controller_as_it_was(controller: Controller, bundle: Bundle) -> None:
    """`bundle` was made from it."""
    assert controller.training
    before, after = make_controller().state_dict(), controller.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert after[name].dtype == value.dtype
        assert torch.equal(after[name], value)


@pytest.mark.parametrize("position", range(len(SIGNALS)))
def test_signal_that_no_sensor_gives_is_refused(position: int) -> None:
    signals = list(SIGNALS)
    signals[position] = dataclasses.replace(signals[position], measurable=False)
    name = signals[position].name
    with pytest.raises(BundleError, match=f"^{name}: the policy reads it, and no sensor measures it"):
        export.export_onnx(make_controller(tuple(signals)))
    with pytest.raises(BundleError, match=rf"^contract\.json: inputs\[{position}\]\.measurable: '{name}'"):
        make_contract(make_controller(tuple(signals)))


def read_through(model: onnx.ModelProto, name: str, indices: list[int], axis: int) -> None:
    """Let every reader of graph input `name` see it reordered along `axis`."""
    for node in model.graph.node:
        for i, read in enumerate(node.input):
            if read == name:
                node.input[i] = f"{name}_reordered"
    model.graph.initializer.append(numpy_helper.from_array(np.int64(indices), f"{name}_order"))
    gather = helper.make_node("Gather", [name, f"{name}_order"], [f"{name}_reordered"], axis=axis)
    model.graph.node.insert(0, gather)


def replace_constant(model: onnx.ModelProto, suffix: str, change: Callable[[NDArray], NDArray]) -> None:
    (tensor,) = (t for t in model.graph.initializer if t.name.endswith(suffix))
    value = change(numpy_helper.to_array(tensor)).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def action_scale(model: onnx.ModelProto) -> str:
    """Name of the constant that multiplies the clipped action."""
    (output,) = (node for node in model.graph.node if "next_last_action" in node.output)
    (scale,) = (node for node in model.graph.node if node.op_type == "Mul" and output.output[0] in node.input)
    (name,) = (name for name in scale.input if name != output.output[0])
    return name


LEGS_SWAPPED = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
BUGS: dict[str, Callable[[onnx.ModelProto], None]] = {
    "joint order of positions": lambda m: read_through(m, "joint_pos", LEGS_SWAPPED, 1),
    "joint order of velocities": lambda m: read_through(m, "joint_vel", LEGS_SWAPPED, 1),
    "joint order of the last action": lambda m: read_through(m, "last_action", LEGS_SWAPPED, 1),
    "joint order of the network's output": lambda m: replace_constant(m, "network.4.weight", lambda w: w[LEGS_SWAPPED]),
    "quaternion x y z w": lambda m: read_through(m, "imu_quat", [1, 2, 3, 0], 1),
    "history order": lambda m: read_through(m, "history", [1, 0], 1),
    "action scale": lambda m: replace_constant(m, action_scale(m), lambda s: s * np.float32(1.01)),
    "action offset": lambda m: replace_constant(m, "default_joint_pos", np.zeros_like),
    "normaliser mean": lambda m: replace_constant(m, "normalizer.shift", np.zeros_like),
    "normaliser scale": lambda m: replace_constant(m, "normalizer.scale", np.ones_like),
    "normaliser of one feature": lambda m: replace_constant(
        m, "normalizer.shift", lambda s: s + 0.01 * (np.arange(s.size) == 17)
    ),
    "command range": lambda m: replace_constant(m, "command_upper", lambda c: 2 * c),
    "joint limits": lambda m: replace_constant(m, "joint_upper", lambda u: u + np.float32(0.2)),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bug_in_the_graph_is_caught(controller: Controller, bundle: Bundle, bug: str) -> None:
    model = onnx.load_from_string(bundle.onnx)
    BUGS[bug](model)
    wrong = dataclasses.replace(bundle, files={"policy.onnx": model.SerializeToString()})
    with pytest.raises(BundleError, match=r"does not reproduce golden\.npz: parts at step \d+ .* difference"):
        OnnxPolicy(wrong).replay_golden()
    with pytest.raises(BundleError):
        export.prove_agreement(controller, wrong)


def test_another_module_than_the_graphs_is_caught(controller: Controller, bundle: Bundle) -> None:
    other = make_controller()
    with torch.no_grad():
        other.normalizer.shift[40] += 0.05
    with pytest.raises(BundleError, match=r"^policy\.onnx: torch and onnxruntime part at step \d+, joint \w+_joint"):
        export.prove_agreement(other, bundle)


def test_bundle_is_written_and_loads(
    controller: Controller, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "export_onnx", lambda controller: bundle.onnx)  # saves seconds, and is the same
    signals = make_signals()
    path = export.export_bundle(tmp_path / "go2", controller, bundle.contract, signals, "# Go2\n", {"a.png": b"png"})
    policy = load_policy(path, ROBOT)
    assert policy.contract == bundle.contract
    assert read_bundle(path).golden.steps == 200


def test_disagreement_writes_nothing(
    controller: Controller, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load_from_string(bundle.onnx)
    BUGS["normaliser mean"](model)
    monkeypatch.setattr(export, "export_onnx", lambda controller: model.SerializeToString())
    with pytest.raises(BundleError, match="does not reproduce"):
        export.export_bundle(tmp_path / "go2", controller, bundle.contract, make_signals(), "", {})
    assert list(tmp_path.iterdir()) == []


def test_short_traces_are_refused(controller: Controller, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="199 steps are too few: give at least 200"):
        export.export_bundle(tmp_path / "go2", controller, bundle.contract, make_signals(199), "", {})


def test_contract_says_what_the_controller_does(bundle: Bundle) -> None:
    contract, target = bundle.contract, bundle.golden.outputs["joint_target"]
    assert contract.inputs == SIGNALS
    assert contract.joint_names == ROBOT.joint_names
    assert contract.command_ranges == {"command": COMMAND}
    assert (target >= np.float32(contract.action_lower)).all()
    assert (target <= np.float32(contract.action_upper)).all()
    thigh = 1  # 0.8 rad +- 0.25 * 6, and the gait's 0.2 upwards, stay within the joint's range
    assert contract.action_lower[thigh] == pytest.approx(-0.7)
    assert contract.action_upper[thigh] == pytest.approx(2.5)


def test_clock_of_another_period_is_refused(controller: Controller) -> None:
    with pytest.raises(BundleError, match=r"^contract\.json: control_period: 0\.01 s, and the controller's gait clock"):
        make_contract(controller, control_period=0.01)


def test_traces_start_from_zero_memory_and_feed_it_back(controller: Controller) -> None:
    signals = make_signals(6)
    golden: Golden = export.record_golden(controller, signals)
    later = export.record_golden(controller, {name: trace[3:] for name, trace in signals.items()})
    target = golden.outputs["joint_target"]
    assert not np.allclose(target[3], later.outputs["joint_target"][0], atol=1e-3)
    once = {name: trace[:1] for name, trace in signals.items()}
    np.testing.assert_array_equal(export.record_golden(controller, once).outputs["joint_target"][0], target[0])


def test_statistics_of_signals() -> None:
    samples = np.stack([np.arange(2001.0), np.full(2001, 3.0)], axis=1)
    statistics = signal_statistics({"a": samples})["a"]
    assert statistics.mean == (1000.0, 3.0)
    assert statistics.std == pytest.approx((np.sqrt((2001**2 - 1) / 12), 0.0))
    assert (statistics.min, statistics.max) == ((0.0, 3.0), (2000.0, 3.0))
    assert statistics.low == pytest.approx((2.0, 3.0))
    assert statistics.high == pytest.approx((1998.0, 3.0))


def test_statistics_flatten_each_sample() -> None:
    statistics = signal_statistics({"a": np.arange(24.0, dtype=np.float32).reshape(4, 3, 2)})["a"]
    assert statistics.min == tuple(range(6))
    assert statistics.max == tuple(range(18, 24))


def test_closed_loop_drives_the_environment() -> None:
    """The recorded signals are those of a robot that obeys this controller, and are what the contract names."""
    task = tasks.load("go2-velocity-flat")

    def run(controller: Controller, steps: int) -> dict[str, NDArray[np.float32]]:
        return export.closed_loop_signals(controller, VecEnv(task, 2, seed=1, threads=1), steps)

    command = task.command
    torch.manual_seed(0)
    still = Controller(ROBOT, task.signals, command.lower, command.upper, ControllerConfig(hidden=(8,)))
    lively = copy.deepcopy(still)
    torch.nn.init.normal_(lively.network[-1].weight, std=2.0)
    first, second, other = run(still, 12), run(still, 12), run(lively, 12)
    for signal in task.signals:
        assert first[signal.name].shape == (12, 2, *signal.shape)
        np.testing.assert_array_equal(first[signal.name], second[signal.name])
    np.testing.assert_array_equal(first["joint_pos"][0], other["joint_pos"][0])
    assert not np.allclose(first["joint_pos"][-1], other["joint_pos"][-1], atol=1e-2)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_target_range_is_never_left_and_reached(seed: int) -> None:
    """Whatever the action, the clock and the command: the contract's range holds exactly, and is no wider."""
    controller = make_controller()
    contract = make_contract(controller)
    torch.manual_seed(seed)
    rows = 4000
    memory = controller.initial_memory(rows)
    memory["phase"] = torch.rand(rows, 1)
    memory["moving"] = torch.randint(0, 2, (rows, 1)).float()
    action = torch.randn(rows, ROBOT.num_joints) * 20.0
    target = controller.act(action, memory)[0].double().numpy()
    lower, upper = np.array(contract.action_lower), np.array(contract.action_upper)
    float32_step = 3e-7  # robot limits are not float32 numbers
    assert (target >= lower - float32_step).all()
    assert (target <= upper + float32_step).all()
    np.testing.assert_allclose(target.min(axis=0), lower, atol=2e-3)
    np.testing.assert_allclose(target.max(axis=0), upper, atol=2e-3)
