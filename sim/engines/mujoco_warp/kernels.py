"""Warp kernels around MuJoCo Warp's physics step: what goes in, what is recorded, and what becomes of a state that
explodes. Each runs one thread a world; `send` one a world and joint, `_align_capsules` one a contact.
"""

import mujoco_warp
import warp as wp
from mujoco_warp import GeomType

wp.set_module_options({"enable_backward": False})

# MuJoCo's own bound on positions, velocities and accelerations (mjMAXVAL): beyond it a state has exploded.
MAX_VALUE = wp.constant(1e10)


@wp.kernel
def check_targets(targets: wp.array3d[float], bad: wp.array[bool]) -> None:
    """Mark the worlds of which a target (world, step, joint) is not finite."""
    world = wp.tid()
    finite = bool(True)  # noqa: UP018  Warp takes a bare literal for a constant
    for step in range(targets.shape[1]):
        for joint in range(targets.shape[2]):
            if not wp.isfinite(targets[world, step, joint]):
                finite = False
    bad[world] = not finite


@wp.kernel
def send(step: int, targets: wp.array3d[float], bad: wp.array[bool], ctrl: wp.array2d[float]) -> None:
    """Give the servos their targets of one physics step, a bad world zeros."""
    world, joint = wp.tid()  # type: ignore[misc]  # as many as the launch has dimensions
    ctrl[world, joint] = wp.where(bad[world], 0.0, targets[world, step, joint])


@wp.kernel
def record(
    step: int,
    first_foot: int,
    njmax: int,
    naconmax: int,
    reported: int,
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    qacc: wp.array2d[float],
    sensordata: wp.array2d[float],
    nefc: wp.array[int],
    nacon: wp.array[int],
    ncollision: wp.array[int],
    overflow: wp.array[int],
    bad: wp.array[bool],
    states: wp.array3d[float],
    feet_before: wp.array2d[float],
    feet: wp.array2d[float],
    report: wp.array[int],
) -> None:
    """After a physics step: keep positions and velocities, mark what exploded, note which capacity was too small.

    `report` holds constraint rows needed by one world, contacts needed by all worlds, and MuJoCo Warp's overflow bits
    among `reported`; each stays 0 while all is well.
    """
    world = wp.tid()
    nq, nv = qpos.shape[1], qvel.shape[1]
    fine = bool(True)  # noqa: UP018
    for i in range(nq):
        states[world, step, i] = qpos[world, i]
        fine = fine and wp.abs(qpos[world, i]) <= MAX_VALUE
    for i in range(nv):
        states[world, step, nq + i] = qvel[world, i]
        fine = fine and wp.abs(qvel[world, i]) <= MAX_VALUE and wp.abs(qacc[world, i]) <= MAX_VALUE
    if not fine:
        bad[world] = True
    for i in range(feet.shape[1]):
        feet_before[world, i] = feet[world, i]
        feet[world, i] = sensordata[world, first_foot + i]

    if nefc[world] > njmax:
        wp.atomic_max(report, 0, nefc[world])
    if world == 0:
        contacts = wp.max(nacon[0], ncollision[0])
        if contacts > naconmax:
            wp.atomic_max(report, 1, contacts)
    bits = overflow[world] & reported
    if bits != 0:
        wp.atomic_or(report, 2, bits)


@wp.kernel
def finish(
    dt: float,
    base_dofs: int,
    max_speed: float,
    max_joint_speed: float,
    start_qpos: wp.array2d[float],
    start_qvel: wp.array2d[float],
    sensordata: wp.array2d[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    warmstart: wp.array2d[float],
    bad: wp.array[bool],
    states: wp.array3d[float],
    feet_before: wp.array2d[float],
    feet: wp.array2d[float],
    outputs: wp.array2d[float],
) -> None:
    """After a control step: put a bad world back to where it began, and lay out sensors and foot velocities."""
    world = wp.tid()
    nq, nv, sensors = qpos.shape[1], qvel.shape[1], sensordata.shape[1]
    fine = not bad[world]
    for i in range(nv):
        limit = wp.where(i < base_dofs, max_speed, max_joint_speed)
        fine = fine and wp.abs(qvel[world, i]) <= limit
    for i in range(sensors):
        fine = fine and wp.isfinite(sensordata[world, i])
    if fine:
        for i in range(sensors):
            outputs[world, i] = sensordata[world, i]
        for i in range(feet.shape[1]):
            outputs[world, sensors + i] = (feet[world, i] - feet_before[world, i]) / dt
        return

    bad[world] = True
    for i in range(nq):
        qpos[world, i] = start_qpos[world, i]
        for step in range(states.shape[1]):
            states[world, step, i] = start_qpos[world, i]
    for i in range(nv):
        qvel[world, i] = start_qvel[world, i]
        warmstart[world, i] = 0.0
        for step in range(states.shape[1]):
            states[world, step, nq + i] = start_qvel[world, i]
    for i in range(outputs.shape[1]):
        outputs[world, i] = 0.0
    for i in range(feet.shape[1]):
        feet[world, i] = 0.0


@wp.kernel
def _align_capsules(
    geom_type: wp.array[int],
    geom_xmat: wp.array2d[wp.mat33],
    nacon: wp.array[int],
    geom: wp.array[wp.vec2i],
    world: wp.array[int],
    frame: wp.array[wp.mat33],
) -> None:
    contact = wp.tid()
    if contact >= wp.min(nacon[0], frame.shape[0]):
        return
    first, second = geom[contact][0], geom[contact][1]
    if geom_type[first] != int(GeomType.PLANE) or geom_type[second] != int(GeomType.CAPSULE):
        return
    normal = wp.vec3(frame[contact][0, 0], frame[contact][0, 1], frame[contact][0, 2])
    rotation = geom_xmat[world[contact], second]
    axis = wp.vec3(rotation[0, 2], rotation[1, 2], rotation[2, 2])
    tangent = axis - wp.dot(axis, normal) * normal
    if wp.length(tangent) > 1e-6:
        tangent = wp.normalize(tangent)
        across = wp.cross(normal, tangent)
        frame[contact] = wp.matrix_from_rows(normal, tangent, across)


def align_capsules(model: mujoco_warp.Model, data: mujoco_warp.Data) -> None:
    """Lay the friction pyramid of a capsule on a plane along the capsule, as MuJoCo does.

    MuJoCo Warp lays it along an axis of the world where the capsule stands within 30 degrees of upright.
    """
    wp.launch(
        _align_capsules,
        data.naconmax,
        inputs=[model.geom_type, data.geom_xmat, data.nacon, data.contact.geom, data.contact.worldid],
        outputs=[data.contact.frame],
    )
