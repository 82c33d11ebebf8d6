"""All worlds on the device: MuJoCo Warp's model and data, the buffers around them, one control step as a recording."""

import warnings
from collections.abc import Callable

import mujoco_warp
import torch
import warp as wp
from mujoco_warp import DisableBit, OverflowType

from sim.engines.mujoco_cpu import MAX_JOINT_SPEED, MAX_SPEED
from sim.engines.mujoco_model import MujocoModel
from sim.engines.mujoco_warp import kernels
from sim.engines.mujoco_warp.capacity import Capacity
from sim.engines.mujoco_warp.device import Recording, warp_name
from sim.engines.mujoco_warp.parameters import FIELDS

# What can go wrong in collisions without any array being too small, and what a user can do about it.
_LOSSES = {
    OverflowType.CCD: "more convex geoms were close to each other than `Capacity.convex` has room for: raise it",
    OverflowType.HFIELD: "a geom touches more than 50 triangles of a height field: use a coarser spacing",
    OverflowType.EPA_HORIZON: "a contact of two convex geoms was too intricate to resolve: use simpler collision geoms",
}


def put_model(built: MujocoModel, num_envs: int, device: torch.device) -> mujoco_warp.Model:
    """MuJoCo Warp's model on the device, with a row a world in each of `FIELDS`."""
    with wp.ScopedDevice(warp_name(device)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "MULTICCD is enabled")  # `Capabilities.limits` says it
        model = mujoco_warp.put_model(built.model, batch_sizes=dict.fromkeys(FIELDS, num_envs))
        model.stat.meaninertia = wp.full(num_envs, float(built.model.stat.meaninertia), dtype=float)
        model.opt.gravity = wp.full(num_envs, wp.vec3(*built.model.opt.gravity), dtype=wp.vec3)
    model.opt.warn_overflow = False  # it would print from the kernels, at every step
    # Box on box by its own routine: in float32 the general one for convex geoms loses contacts of boxes that lie flat.
    model.opt.disableflags |= int(DisableBit.NATIVECCD)
    model.callback.contactfilter = kernels.align_capsules
    if device.type == "cuda":
        model.opt.graph_conditional = wp.is_conditional_graph_supported()
    return model


def worst_case(built: MujocoModel, device: torch.device) -> Capacity:
    """Room for all the contacts and constraints that the model can have at a time."""
    return Capacity.of(built.model, put_model(built, 1, device).nxn_geom_pair_filtered.numpy())


class Simulation:
    """`num_envs` worlds and a control step of `decimation` physics steps.

    Tensors share memory with what the kernels read and write.

    Attributes:
        qpos, qvel, warmstart: (N, nq), (N, nv), (N, nv) state of each world, as MuJoCo has it.
        geom_pos: (N, ngeom, 3) m, as of the latest `update_positions` or step.
        targets: (N, decimation, nu) joint targets of the next control step.
        states: (N, decimation, nq + nv) state after each physics step.
        outputs: (N, nsensordata + 3 F) sensors of the last physics step, then foot velocities in m/s.
        feet: (N, 3 F) m, foot positions that the next velocity is measured from.
        base_wrench: (N, 6) N and N m, force and torque on the base's centre of mass, world, in each physics step.
        diverged: (N,) bool.
    """

    def __init__(
        self,
        built: MujocoModel,
        model: mujoco_warp.Model,
        capacity: Capacity,
        num_envs: int,
        decimation: int,
        base: int,
        device: torch.device,
    ) -> None:
        host = built.model
        base_dofs = int(host.body_dofnum[base])
        self.capacity = capacity
        self._num_envs = num_envs
        feet = built.foot_pos_slice.stop - built.foot_pos_slice.start
        with wp.ScopedDevice(warp_name(device)):
            data = mujoco_warp.make_data(
                host,
                nworld=num_envs,
                nconmax=capacity.contacts,
                nccdmax=capacity.convex,
                njmax=capacity.rows,
                njmax_nnz=capacity.rows * host.nv,
            )
            targets = wp.zeros((num_envs, decimation, host.nu), dtype=float)
            states = wp.zeros((num_envs, decimation, host.nq + host.nv), dtype=float)
            outputs = wp.zeros((num_envs, host.nsensordata + feet), dtype=float)
            feet_before, feet_now = (wp.zeros((num_envs, feet), dtype=float) for _ in range(2))
            bad = wp.zeros(num_envs, dtype=bool)
            report = wp.zeros(3, dtype=int)
        self._buffers = (data, targets, states, outputs, feet_before, feet_now, bad, report)  # what is recorded below
        # Pinned, so that the copy at the end of a control step waits for nothing: the host reads it a step later.
        self._host_report = wp.zeros(3, dtype=int, device="cpu", pinned=device.type == "cuda")
        self._seen = self._host_report.numpy()  # shares its memory
        self._warned: set[int] = set()

        def control_step() -> None:
            start_qpos, start_qvel = wp.clone(data.qpos), wp.clone(data.qvel)
            wp.launch(kernels.check_targets, num_envs, inputs=[targets], outputs=[bad])
            for step in range(decimation):
                wp.launch(kernels.send, (num_envs, host.nu), inputs=[step, targets, bad], outputs=[data.ctrl])
                mujoco_warp.step(model, data)
                wp.launch(
                    kernels.record,
                    num_envs,
                    inputs=[
                        step,
                        built.foot_pos_slice.start,
                        data.njmax,
                        data.naconmax,
                        int(sum(_LOSSES)),
                        data.qpos,
                        data.qvel,
                        data.qacc,
                        data.sensordata,
                        data.nefc,
                        data.nacon,
                        data.ncollision,
                        data.overflow,
                    ],
                    outputs=[bad, states, feet_before, feet_now, report],
                )
            wp.launch(
                kernels.finish,
                num_envs,
                inputs=[
                    float(host.opt.timestep),
                    base_dofs,
                    MAX_SPEED,
                    MAX_JOINT_SPEED,
                    start_qpos,
                    start_qvel,
                    data.sensordata,
                ],
                outputs=[data.qpos, data.qvel, data.qacc_warmstart, bad, states, feet_before, feet_now, outputs],
            )
            wp.copy(self._host_report, report)

        self.step: Callable[[], None] = Recording(device, control_step).launch
        for scratch in (report, data.overflow, self._host_report):
            scratch.zero_()
        self.update_positions = Recording(device, lambda: mujoco_warp.kinematics(model, data)).launch
        self.qpos, self.qvel, self.warmstart = map(wp.to_torch, (data.qpos, data.qvel, data.qacc_warmstart))
        self.geom_pos = wp.to_torch(data.geom_xpos)
        self.targets, self.states, self.outputs = map(wp.to_torch, (targets, states, outputs))
        self.feet, self.diverged = wp.to_torch(feet_now), wp.to_torch(bad)
        self.base_wrench = wp.to_torch(data.xfrc_applied)[:, base]

    def lacking(self) -> Capacity | None:
        """The capacity that an earlier control step turned out to need; None while there is enough.

        It reads what the device has written to the host's memory by now, and waits for nothing. Contacts that are lost
        for other reasons are reported here, as a warning, once a reason.
        """
        if not self._seen.any():
            return None
        rows, contacts, losses = self._seen.tolist()
        for loss, reason in _LOSSES.items():
            if losses & loss and loss not in self._warned:
                self._warned.add(loss)
                warnings.warn(f"mujoco_warp: contacts were lost: {reason}", RuntimeWarning, stacklevel=3)
        needed = self.capacity.enlarged(-(-contacts // self._num_envs), rows)
        return None if needed == self.capacity else needed

    def memory(self) -> dict[str, torch.Tensor]:
        """All that one control step leaves to the next."""
        state = {"qpos": self.qpos, "qvel": self.qvel, "warmstart": self.warmstart, "feet": self.feet}
        return state | {"base_wrench": self.base_wrench}

    def continue_from(self, other: "Simulation") -> None:
        """Take over where another, of the same worlds, has stopped."""
        for mine, others in zip(self.memory().values(), other.memory().values(), strict=True):
            mine.copy_(others)
