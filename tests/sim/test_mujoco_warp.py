"""The MuJoCo Warp engine beyond the laws that every engine keeps: no waiting for the device, capacities, parameters."""

import io
import os
import re
import subprocess
import sys
import weakref

import pytest

pytest.importorskip("mujoco_warp")

import numpy as np
import torch
import warp as wp
from go2_states import DEFAULT, IN_THE_AIR, JOINTS, ROBOT, assert_same, hold, place, set_parameter, snapshot
from mujoco_warp import OverflowType
from torch.utils._python_dispatch import TorchDispatchMode

import contract.robots
from contract.errors import LandbridgeError, UsageError
from contract.rotations import quat_to_matrix
from sim.engines.mujoco_cpu import MujocoCpuEngine
from sim.engines.mujoco_warp import capacity as mujoco_warp_capacity
from sim.engines.mujoco_warp import device as mujoco_warp_device
from sim.engines.mujoco_warp.capacity import Capacity
from sim.engines.mujoco_warp.engine import MujocoWarpEngine, environments_that_fit
from sim.engines.mujoco_warp.parameters import FIELDS
from sim.terrains import FLAT, Boxes, Stairs

pytestmark = [pytest.mark.xdist_group("warp"), pytest.mark.filterwarnings("error")]

CARTPOLE = contract.robots.load("cartpole")


def make_engine(num_envs: int = 2, robot=ROBOT, **settings) -> MujocoWarpEngine:
    return MujocoWarpEngine(robot, num_envs=num_envs, device="cpu", **settings)


def _standing(num_envs: int = 2, **settings) -> MujocoWarpEngine:
    engine = make_engine(num_envs, **settings)
    place(engine)
    return engine


def _random_targets(engine, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, engine.num_envs, engine.decimation, JOINTS, generator=generator)
    return DEFAULT + 0.3 * noise


# -- nothing waits for the device ---------------------------------------------------------------------------------


class _NoWaiting(TorchDispatchMode):
    """Fails where torch would make the host wait for a device, or move a tensor to another one."""

    waiting = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "unique", "equal", "_unique2")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        assert name not in self.waiting, name
        assert kwargs.get("device") in (None, torch.device("cpu")), name
        if name in ("index", "index_put", "index_put_"):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), f"{name} by a mask"
        return function(*args, **kwargs)


def test_nothing_in_a_step_or_a_reset_waits_for_the_device(monkeypatch):
    engine = _standing(3)
    targets = _random_targets(engine, 2)
    ids, velocity = torch.tensor([0, 2]), torch.ones(2, 3)
    values = {name: torch.as_tensor(p.nominal).expand(2, p.size) for name, p in engine.capabilities.parameters.items()}

    def waits(*args, **kwargs):
        raise AssertionError("the host waits for the device")

    launched = []
    for owner, names in (
        (wp, ("synchronize", "synchronize_device", "synchronize_stream", "synchronize_event", "launch", "copy")),
        (wp.array, ("numpy", "list", "assign")),
        (torch.Tensor, ("numpy", "item", "tolist", "cpu", "__bool__", "__float__", "__int__", "__array__")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, waits)
    capture_launch = wp.capture_launch
    monkeypatch.setattr(wp, "capture_launch", lambda *a, **k: launched.append(1) or capture_launch(*a, **k))
    with _NoWaiting():
        engine.step(targets[0])
        assert len(launched) == 1  # the whole control step
        engine.set_parameters(ids, values)
        engine.reset(
            ids,
            torch.zeros(2, 3),
            torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(2, 4),
            velocity,
            velocity,
            DEFAULT.expand(2, JOINTS),
            DEFAULT.expand(2, JOINTS),
        )
        engine.push(ids, velocity, velocity)
        engine.step(targets[1])
    monkeypatch.undo()
    assert not engine.diverged.any()


def test_the_watch_over_waiting_sees_it():
    with _NoWaiting():
        for wait in (lambda x: x.sum().item(), lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: x.to("meta")):
            with pytest.raises(AssertionError):
                wait(torch.ones(3))


def test_what_was_read_is_not_written_again():
    """The device writes every step to the same place; who has kept the state of the step before still has it."""
    engine = _standing()
    targets = _random_targets(engine, 2)
    engine.step(targets[0])
    state, trace, diverged = engine.state, engine.trace, engine.diverged
    before = snapshot(engine)
    engine.step(targets[1])
    after = {**vars(state), **{f"trace_{name}": value for name, value in vars(trace).items()}}
    assert_same(before, after)
    assert diverged is not engine.diverged
    assert not torch.equal(engine.state.joint_pos, state.joint_pos)


# -- what differs from the laws' simple robots --------------------------------------------------------------------


def test_a_reset_forgets_the_solvers_memory():
    """MuJoCo begins to solve where it left off; an environment that begins anew does not."""
    used, fresh = _standing(), _standing()
    for targets in _random_targets(used, 5):
        used.step(targets)
    place(used)
    assert_same(snapshot(used), snapshot(fresh))
    for targets in _random_targets(used, 5, seed=1):
        used.step(targets)
        fresh.step(targets)
        assert_same(snapshot(used), snapshot(fresh))


@pytest.mark.parametrize("fault", ["speed 1e9", "speed 1e12", "fast base"])
def test_a_state_that_explodes_is_put_back_and_harms_no_other(fault):
    engine, healthy = _standing(3), _standing(3)
    targets = _random_targets(engine, 4)
    if fault == "fast base":
        place(engine, [1], height=IN_THE_AIR, root_lin_vel=torch.tensor([0.0, 200.0, 0.0]))
    else:
        place(engine, [1], joint_vel=torch.tensor([float(fault.split()[1])] + [0.0] * 11))
    begun = engine.state.root_pos[1].clone()
    engine.step(targets[0])
    healthy.step(targets[0])
    assert engine.diverged.tolist() == [False, True, False]
    assert all(torch.isfinite(value).all() for value in snapshot(engine).values())
    assert torch.equal(engine.state.root_pos[1], begun)
    assert_same(snapshot(engine), snapshot(healthy), rows=[0, 2])
    for each in (engine, healthy):
        place(each, [1])
        for i in range(1, 4):
            each.step(targets[i])
    assert not engine.diverged.any()
    assert_same(snapshot(engine), snapshot(healthy))


def test_a_saved_state_is_a_copy_and_loads_into_a_used_engine():
    engine, other = _standing(), _standing()
    set_parameter(engine, "payload_mass", [[1.0], [-0.5]])
    set_parameter(other, "base_com", 0.02)  # to be overwritten
    targets = _random_targets(engine, 10)
    for i in range(5):
        engine.step(targets[i])
        other.step(targets[9 - i])
    file = io.BytesIO()
    torch.save(engine.state_dict(), file)
    saved = engine.state_dict()
    copies = {name: value.clone() for name, value in saved["simulation"].items()}
    for i in range(5, 10):
        engine.step(targets[i])
    assert all(torch.equal(copies[name], value) for name, value in saved["simulation"].items())
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    for i in range(5, 10):
        other.step(targets[i])
    assert_same(snapshot(engine), snapshot(other))


def test_a_closed_engine_lets_its_memory_go():
    engine = make_engine()
    simulation = weakref.ref(engine._simulation)
    engine.close()
    assert simulation() is None
    engine.close()


# -- parameters ---------------------------------------------------------------------------------------------------

# What MuJoCo derives from masses and rotor inertias, as far as MuJoCo Warp uses it.
_DERIVED = {"body_invweight0", "dof_invweight0"}
_CHANGED = {
    "friction": {"geom_friction"},
    "foot_friction_factor": {"geom_friction"},
    "payload_mass": {"body_mass", "body_subtreemass", *_DERIVED},
    "payload_pos": set(),  # of no payload
    "base_mass_factor": {"body_mass", "body_subtreemass", "body_inertia", "body_iquat", *_DERIVED},
    "base_stretch": {"body_inertia", "body_iquat", *_DERIVED},
    "base_shear": {"body_inertia", "body_iquat", *_DERIVED},
    "link_mass_factor": {"body_mass", "body_subtreemass", "body_inertia", *_DERIVED},
    "battery_sag": {"actuator_forcerange"},
    "joint_stop_margin": {"jnt_range"},
    "gravity_offset": {"gravity"},
    "base_force": set(),  # acts in a step, as does the torque
    "base_torque": set(),
    "base_com": {"body_ipos", *_DERIVED},
    "motor_strength": {"actuator_gainprm", "actuator_biasprm", "actuator_forcerange"},
    "kp_factor": {"actuator_gainprm", "actuator_biasprm"},
    "kd_factor": {"actuator_biasprm"},
    "joint_friction": {"dof_frictionloss"},
    "joint_damping": {"dof_damping"},
    "joint_armature": {"dof_armature", *_DERIVED},
}


def _fields(engine) -> dict[str, np.ndarray]:
    """Every batched field of the model on the device, the mean inertia and gravity, a row a world."""
    fields = {name: getattr(engine._model, name).numpy().copy() for name in FIELDS}
    shared = {"meaninertia": engine._model.stat.meaninertia, "gravity": engine._model.opt.gravity}
    return {**fields, **{name: value.numpy().copy() for name, value in shared.items()}}


def _random_values(engine, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = {}
    for name, parameter in engine.capabilities.parameters.items():
        uniform = torch.rand(engine.num_envs, parameter.size, generator=generator)
        values[name] = torch.as_tensor(parameter.nominal) * (0.5 + uniform) + 0.05 * uniform
    return values


def _tensors(moments, quats):
    """(B, 3, 3) of bodies, in their own axes."""
    axes = np.stack([quat_to_matrix(quat.astype(np.float64)) for quat in quats])
    return axes @ (moments[:, :, None] * axes.transpose(0, 2, 1))


@pytest.mark.parametrize("robot", [ROBOT, CARTPOLE], ids=lambda robot: robot.name)
def test_parameters_and_what_follows_from_them_are_mujocos(robot):
    engine = make_engine(4, robot)
    reference = MujocoCpuEngine(robot, num_envs=4, threads=0)
    everyone = torch.arange(4)
    for each in (engine, reference):
        each.set_parameters(everyone, _random_values(engine))
    fields = _fields(engine)
    for world, model in enumerate(reference._models):
        for name in set(FIELDS) - {"body_inertia", "body_iquat"}:
            np.testing.assert_allclose(fields[name][world], getattr(model, name), rtol=1e-5, atol=1e-6, err_msg=name)
        # In which order principal axes come is nobody's business.
        mine = _tensors(fields["body_inertia"][world], fields["body_iquat"][world])
        np.testing.assert_allclose(mine, _tensors(model.body_inertia, model.body_iquat), rtol=1e-5, atol=1e-6)
        assert fields["meaninertia"][world] == pytest.approx(model.stat.meaninertia, rel=1e-5)
        np.testing.assert_allclose(fields["gravity"][world], model.opt.gravity, rtol=1e-6)


def test_every_parameter_is_tried():
    assert set(_CHANGED) == set(make_engine().capabilities.parameters)


def test_a_parameter_changes_its_fields_in_its_world_alone():
    engine = make_engine(3)
    nominal = _fields(engine)
    for name, parameter in engine.capabilities.parameters.items():
        set_parameter(engine, name, torch.as_tensor(parameter.nominal) * 1.3 + 0.01, [1])
        after = _fields(engine)
        changed = {
            field
            for field in (*FIELDS, "gravity")
            if not np.allclose(after[field][1], nominal[field][1], rtol=1e-6, atol=1e-9)
        }
        assert changed == _CHANGED[name], name
        assert all(np.array_equal(after[field][[0, 2]], nominal[field][[0, 2]]) for field in nominal)
        set_parameter(engine, name, parameter.nominal, [1])
        for field, value in _fields(engine).items():
            np.testing.assert_allclose(value, nominal[field], rtol=1e-6, err_msg=f"{name}: {field}")


def test_a_parameter_without_that_name_is_refused():
    with pytest.raises(UsageError, match=r"engine mujoco_warp has no parameter 'ice'.*payload_mass"):
        make_engine().set_parameters(torch.tensor([0]), {"ice": torch.zeros(1, 1)})


# -- capacities ---------------------------------------------------------------------------------------------------


def test_the_capacity_is_that_of_the_robots_geoms():
    """On a plane: a box 8 corners, 4 thighs 2 ends each, head and 4 feet a point each; 4 rows a contact."""
    capacity = make_engine()._simulation.capacity
    assert capacity.contacts == 8 + 4 * 2 + 1 + 4
    needed = 4 * capacity.contacts + JOINTS + JOINTS  # friction and stops of the joints
    assert needed <= capacity.rows < needed + 32
    assert capacity.convex == 0


@pytest.mark.parametrize(
    "terrain", [FLAT, Stairs(0.1), Boxes(0.2, count=80, clear=0.2, size=3.0)], ids=lambda t: type(t).__name__
)
def test_there_is_room_for_robots_that_are_buried(terrain):
    """Wherever a robot is stuck in the ground, and however it lies: nothing that touches is lost."""
    engine = make_engine(32, terrain=terrain, decimation=1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        quat = torch.randn(32, 4, generator=generator)
        place(
            engine,
            root_pos=(torch.rand(32, 3, generator=generator) - 0.5) * torch.tensor([2.0, 2.0, 0.2]),
            root_quat=quat / quat.norm(dim=1, keepdim=True),
            joint_pos=3.0 * torch.rand(32, JOINTS, generator=generator) - 1.5,
        )
        engine.step(hold(engine))
        assert engine._simulation.lacking() is None
    assert engine.state.contact_force.max() > 100.0


@pytest.mark.parametrize("tight", [Capacity(contacts=1, rows=128, convex=0), Capacity(contacts=21, rows=16, convex=0)])
def test_too_small_a_capacity_is_reported_and_enlarged(tight):
    engine, ample = make_engine(capacity=tight), make_engine()
    for each in (engine, ample):
        place(each, [0])
        place(each, [1], height=0.08, joint_pos=torch.tensor(ROBOT.rest_pose))
    engine.step(hold(engine))
    with pytest.warns(RuntimeWarning, match=r"for want of room: \d+ contacts an environment and \d+ constraint rows"):
        engine.step(hold(engine))
    room = engine._simulation.capacity
    assert room.contacts > tight.contacts or room.rows > tight.rows
    for each in (engine, ample):
        place(each, [0])
        place(each, [1], height=0.08, joint_pos=torch.tensor(ROBOT.rest_pose))
        for _ in range(3):
            each.step(hold(each))
    for name, value in vars(engine.state).items():
        assert torch.allclose(value, getattr(ample.state, name), rtol=1e-4, atol=1e-3), name


def test_contacts_lost_for_other_reasons_are_reported_once():
    """MuJoCo Warp marks them in its data, where they stay."""
    engine = _standing()
    data = engine._simulation._buffers[0]
    data.overflow.fill_(int(OverflowType.HFIELD))
    engine.step(hold(engine))
    with pytest.warns(RuntimeWarning, match="contacts were lost: .* coarser spacing"):
        engine.step(hold(engine))
    engine.step(hold(engine))


# -- devices and memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda:99", "device cuda:99: .* use --device cpu"), ("tpu", "device tpu: .* runs on cpu or cuda:0")],
)
def test_a_device_that_is_not_there_is_refused(device, message):
    with pytest.raises(UsageError, match=message):
        MujocoWarpEngine(ROBOT, num_envs=1, device=device)


def test_more_environments_than_memory_holds_are_refused_with_the_number_that_fits(monkeypatch):
    free = 100 * 2**20
    monkeypatch.setattr(mujoco_warp_capacity, "_free_bytes", lambda device: free)
    most = environments_that_fit(ROBOT, device="cpu")
    assert 0.8 * free / most == pytest.approx(_bytes_an_environment(), rel=0.3)
    with pytest.raises(UsageError, match=r"num_envs 100000: cpu has free memory for \d+ of these environments"):
        make_engine(100_000)


def _bytes_an_environment() -> float:
    """From the arrays of many environments, those of a control step's intermediate results included."""
    reports = []
    with wp.ScopedMemoryTracker(print=False, report_func=reports.append) as tracker:
        engine = make_engine(200)
        tracker.report(max_items=0)
    live = re.search(r"Live allocations:\n\s+cpu\s+\d+ \(([\d.]+) MB\)", reports[0])
    assert engine.num_envs == 200
    return float(live[1]) * 2**20 / 200


def test_free_memory_is_that_of_the_machine():
    free = mujoco_warp_capacity._free_bytes(torch.device("cpu"))
    assert 2**20 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_report_that_is_not_understood_is_an_error():
    with pytest.raises(LandbridgeError, match="not understood"):
        mujoco_warp_capacity._peak_bytes("Peak usage: lots", "cpu")


# -- noise --------------------------------------------------------------------------------------------------------


def test_an_engine_says_nothing_but_that_it_compiles():
    """In a process of its own, since Warp says hello once."""
    code = "import contract.robots; from sim.engines.mujoco_warp.engine import MujocoWarpEngine as E;"
    code += "E(contract.robots.load('cartpole'), num_envs=2, device='cpu')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert ran.stdout == ""
    assert all(line.startswith("mujoco_warp: compiling") for line in ran.stderr.splitlines())


def test_compiling_is_announced_once_it_takes_long_and_once_alone(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 9.0, 9.0, 10.0])
    monkeypatch.setattr(mujoco_warp_device.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(mujoco_warp_device._Announcer, "said", False)
    announcer = mujoco_warp_device._Announcer()
    announcer.info("Module a load on device 'cpu' took 900 ms (compiled)")  # at 1 s
    announcer.info("Module b load on device 'cpu' took 2 ms (cached)")
    assert capsys.readouterr().err == ""
    for name in "cde":
        announcer.info(f"Module {name} load on device 'cpu' took 900 ms (compiled)")  # from 9 s on
    assert capsys.readouterr().err.count("mujoco_warp: compiling physics kernels") == 1
