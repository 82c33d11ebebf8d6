"""The Controller: what it observes, what it remembers, and what it sends to the joints."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from go2_states import DEFAULT, JOINTS, ROBOT

import sim.tasks
from policies.controller import Controller, ControllerConfig
from policies.gait import alternating
from sim.rotations import quat_from_yaw, quat_multiply
from sim.symmetry import Mirror, MirrorKind

TASK = sim.tasks.load("go2-velocity-flat")
LOWER, UPPER = (torch.from_numpy(v).float() for v in (ROBOT.joint_lower, ROBOT.joint_upper))
GAIT = alternating((0.0, 0.3, -0.5), (0.0, 0.5, 0.5, 0.0), period=0.4, moving=0.1)


def _controller(**changes):
    torch.manual_seed(0)
    config = ControllerConfig(**{"hidden": (16,), **changes})
    controller = Controller(ROBOT, TASK.signals, TASK.command.lower, TASK.command.upper, config)
    with torch.no_grad():  # actions large enough to see
        controller.network[-1].weight.mul_(100.0)
    return controller.eval()


def _signals(n, seed):
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(n, *shape, generator=generator)

    return {
        "imu_quat": torch.nn.functional.normalize(noise(4), dim=1),
        "gyro": noise(3),
        "joint_pos": DEFAULT + 0.3 * noise(JOINTS),
        "joint_vel": 3.0 * noise(JOINTS),
        "command": 0.2 * noise(3),
    }


def _term(signals, last_action):
    """One observation, written out for one robot at a time with matrices."""
    rows = []
    for i in range(len(last_action)):
        w, x, y, z = signals["imu_quat"][i].tolist()
        third_row = [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
        gravity = [-v for v in third_row]  # R^T (0, 0, -1)
        rows.append(
            [
                *signals["gyro"][i].tolist(),
                *gravity,
                *signals["command"][i].tolist(),
                *(signals["joint_pos"][i] - DEFAULT).tolist(),
                *signals["joint_vel"][i].tolist(),
                *last_action[i].tolist(),
            ]
        )
    return torch.tensor(rows)


def test_it_reads_what_a_robot_measures_and_declares_what_it_gives():
    controller = _controller(history=3)
    assert controller.inputs == TASK.signals
    assert all(signal.measurable for signal in controller.inputs)
    assert controller.output.shape == (JOINTS,)
    assert controller.output.elements == ROBOT.joint_names
    memory = controller.initial_memory(5)
    assert {name: tuple(m.shape[1:]) for name, m in memory.items()} == {s.name: s.shape for s in controller.memory}
    assert all((m == 0).all() and m.shape[0] == 5 for m in memory.values())


@pytest.mark.parametrize("history", [1, 2, 4])
def test_features_are_the_observations_oldest_first(history):
    controller = _controller(history=history)
    memory, action = controller.initial_memory(2), torch.zeros(2, JOINTS)
    seen = []
    for step in range(6):
        signals = _signals(2, step)
        features, _ = controller.observe(signals, memory)
        seen.append(_term(signals, action))
        window = [seen[max(0, step - back)] for back in range(history - 1, -1, -1)]
        assert features.shape == (2, controller.feature_dim)
        assert torch.allclose(features, torch.cat(window, dim=1), atol=1e-5), step
        _, memory = controller(signals, memory)
        action = memory["last_action"]
        assert (action != 0).any()


def test_a_row_that_starts_again_forgets_its_history_and_leaves_the_other_its_own():
    controller = _controller(history=3)
    memory = controller.initial_memory(2)
    for step in range(4):
        _, memory = controller(_signals(2, step), memory)
    memory = {name: m.clone() for name, m in memory.items()}
    kept = {name: m[1:].clone() for name, m in memory.items()}
    for m in memory.values():
        m[0] = 0.0
    signals = _signals(2, 9)
    features, _ = controller.observe(signals, memory)
    term = features[0].reshape(3, -1)
    assert torch.equal(term[0], term[2])
    assert torch.equal(term[1], term[2])
    alone, _ = controller.observe({n: s[1:] for n, s in signals.items()}, kept)
    assert torch.equal(features[1:], alone)


def test_observing_changes_neither_its_inputs_nor_the_memory_that_it_was_given():
    controller = _controller(history=2, gait=GAIT)
    memory, signals = controller.initial_memory(2), _signals(2, 0)
    copies = [{n: v.clone() for n, v in d.items()} for d in (signals, memory)]
    controller(signals, memory)
    for before, after in zip(copies, (signals, memory), strict=True):
        assert all(torch.equal(before[n], after[n]) for n in before)


def test_heading_does_not_show():
    """A policy that saw the compass would walk differently to the north."""
    controller = _controller()
    signals = _signals(3, 0)
    turned = dict(signals)
    yaw = quat_from_yaw(torch.tensor([0.5, -2.0, 3.0]))
    turned["imu_quat"] = quat_multiply(yaw, signals["imu_quat"])
    features = [controller.observe(s, controller.initial_memory(3))[0] for s in (signals, turned)]
    assert torch.allclose(features[0], features[1], atol=1e-5)
    negated = {**signals, "imu_quat": -signals["imu_quat"]}
    assert torch.equal(controller.observe(negated, controller.initial_memory(3))[0], features[0])


def test_commands_are_clipped_to_what_was_trained():
    controller = _controller()
    signals = _signals(1, 0)
    signals["command"] = torch.tensor([[9.0, -9.0, 0.1]])
    features, _ = controller.observe(signals, controller.initial_memory(1))
    assert torch.allclose(features[0, 6:9], torch.tensor([TASK.command.upper[0], TASK.command.lower[1], 0.1]))


def test_an_action_is_clipped_scaled_offset_and_kept_within_the_joints():
    controller = _controller(action_scale=0.25, action_clip=2.0)
    memory = controller.initial_memory(1)
    action = torch.full((1, JOINTS), 0.4)
    target, after = controller.act(action, memory)
    assert torch.allclose(target, DEFAULT + 0.1)
    assert torch.equal(after["last_action"], action)
    for value in (5.0, -5.0):
        target, after = controller.act(torch.full((1, JOINTS), value), memory)
        assert torch.equal(after["last_action"], torch.full((1, JOINTS), math.copysign(2.0, value)))
        expected = torch.maximum(torch.minimum(DEFAULT + math.copysign(0.5, value), UPPER), LOWER)
        assert torch.allclose(target, expected[None])
    far = _controller(action_scale=10.0)
    for value, limit in ((6.0, UPPER), (-6.0, LOWER)):
        target = far.act(torch.full((1, JOINTS), value), memory)[0]
        assert torch.allclose(target, limit[None], atol=1e-6)
        # Also in float64, in which the limits are published: the nearest float32 may lie beyond.
        assert np.all(target.double().numpy() <= ROBOT.joint_upper)
        assert np.all(target.double().numpy() >= ROBOT.joint_lower)


@pytest.mark.parametrize("gait", [None, GAIT])
def test_a_step_is_observe_then_mean_then_act_and_rows_do_not_mix(gait):
    controller = _controller(history=3, gait=gait)
    together = controller.initial_memory(3)
    alone = [controller.initial_memory(1) for _ in range(3)]
    for step in range(5):
        signals = _signals(3, step)
        features, observed = controller.observe(signals, together)
        by_parts, _ = controller.act(controller.policy_mean(features), observed)
        target, together = controller(signals, together)
        assert torch.equal(target, by_parts)
        for i in range(3):
            row, alone[i] = controller({n: s[i : i + 1] for n, s in signals.items()}, alone[i])
            assert torch.allclose(row, target[i : i + 1], atol=1e-6)
        assert ((target >= LOWER) & (target <= UPPER)).all()


def test_memory_keeps_its_shape_and_type():
    controller = _controller(history=3, gait=GAIT)
    memory = controller.initial_memory(2)
    before = {n: (m.shape, m.dtype) for n, m in memory.items()}
    _, memory = controller(_signals(2, 0), memory)
    assert {n: (m.shape, m.dtype) for n, m in memory.items()} == before


def test_a_gait_clock_runs_from_the_start_and_lifts_only_who_is_told_to_move():
    controller = _controller(gait=GAIT)
    controller.network[-1].weight.data.zero_()
    signals = _signals(2, 0)
    signals["command"] = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.05, 0.0]])
    memory = controller.initial_memory(2)
    for step in range(45):
        features, _ = controller.observe(signals, memory)
        angle = 2 * math.pi * step * 0.02 / 0.4
        clock = torch.tensor([math.sin(angle), math.cos(angle)])
        assert torch.allclose(features[:, -2:], clock.expand(2, 2), atol=1e-4)
        target, memory = controller(signals, memory)
        assert torch.allclose(target[1], DEFAULT)
        phase = torch.tensor((step + 1) * 0.02 / 0.4) + torch.tensor([0.0, 0.5, 0.5, 0.0]).repeat_interleave(3)
        swing = torch.where(phase % 1.0 < 0.5, torch.sin(2 * math.pi * phase).square(), 0.0)
        lift = torch.tensor([0.0, 0.3, -0.5] * 4) * swing
        assert torch.allclose(target[0], torch.clamp(DEFAULT + lift, LOWER, UPPER), atol=1e-4), step


def test_the_mirror_image_of_the_features_is_what_a_mirrored_robot_observes():
    controller = _controller(history=2, gait=GAIT)
    kinds = {
        "gyro": MirrorKind.AXIAL,
        "joint_pos": MirrorKind.JOINT,
        "joint_vel": MirrorKind.JOINT,
        "command": MirrorKind.COMMAND,
    }

    def image(signals):
        out = {
            n: Mirror(ROBOT, [(k, signals[n].shape[1])], TASK.command.mirror_sign)(signals[n]) for n, k in kinds.items()
        }
        out["imu_quat"] = signals["imu_quat"] * torch.tensor([1.0, -1.0, 1.0, -1.0])
        return out

    mirror = Mirror(ROBOT, controller.feature_parts, TASK.command.mirror_sign)
    joints = Mirror(ROBOT, [(MirrorKind.JOINT, JOINTS)])
    memory, mirrored_memory = controller.initial_memory(3), controller.initial_memory(3)
    mirrored_memory["phase"] += 0.5
    for step in range(3):
        signals = _signals(3, step)
        features, memory = controller.observe(signals, memory)
        mirrored, mirrored_memory = controller.observe(image(signals), mirrored_memory)
        assert torch.allclose(mirror(features), mirrored, atol=1e-5)
        action = torch.randn(3, JOINTS)
        target, memory = controller.act(action, memory)
        mirrored_target, mirrored_memory = controller.act(joints(action), mirrored_memory)
        assert torch.allclose(joints(target), mirrored_target, atol=1e-4)


def test_one_trace_serves_every_batch_and_every_step():
    """Nothing in the graph depends on the batch size or on values, such as those of the first step."""
    controller = _controller(history=3, gait=GAIT)
    memory = controller.initial_memory(5)
    with torch.no_grad():
        traced = torch.jit.trace(controller, (_signals(2, 0), controller.initial_memory(2)), strict=False)
        traced_memory = memory
        for step in range(3):
            signals = _signals(5, step)
            target, memory = controller(signals, memory)
            traced_target, traced_memory = traced(signals, traced_memory)
            assert torch.allclose(target, traced_target, atol=1e-6)
            assert all(torch.allclose(memory[n], traced_memory[n], atol=1e-6) for n in memory)


def test_a_turned_imu_is_turned_back():
    turned = dataclasses.replace(ROBOT.imu, quat=(0.0, 0.0, 0.0, 1.0))
    robot = dataclasses.replace(ROBOT, imu=turned)
    controller = Controller(robot, TASK.signals, TASK.command.lower, TASK.command.upper, ControllerConfig())
    signals = _signals(1, 0)
    features, _ = controller.observe(signals, controller.initial_memory(1))
    assert torch.allclose(features[0, :3], signals["gyro"][0] * torch.tensor([-1.0, -1.0, 1.0]), atol=1e-6)
