"""From a black box's recording to the log that identification reads."""

import numpy as np
from numpy.typing import NDArray

from contract import robots
from contract.errors import LandbridgeError
from contract.robot import Robot
from deploy_robot import cdr, ticks
from deploy_robot.decision import Mode
from deploy_robot.recording import IMUS, JOINT_STATES, TICKS, Recording
from domain_rand.identification.log import MotionLog

Array = NDArray[np.float64]

_SETTLE = 0.05  # s under the robot's own gains before a sample counts


def robot_of(recording: Recording) -> Robot:
    """The robot that was recorded; UsageError where it is not known here."""
    return robots.load(recording.about.get("robot", ""))


def motion_log(recording: Recording, robot: Robot) -> MotionLog:
    """What the joints did while a policy drove, and the targets that were written to the motors.

    Times are those of the stamps that the robot gave its samples, on robot_node's steady clock.

    Raises:
        LandbridgeError: the recording is of another robot, damaged, or holds no motion under the gains of the
            robot's description.
    """
    if recording.about.get("robot") != robot.name:
        raise LandbridgeError(f"{recording.path}: of a {recording.about.get('robot')}, not of a {robot.name}")
    try:
        written, target, driven = _targets(recording, robot)
        stamps, ages, pos, vel = _joints(recording, robot)
        imu = {
            cdr.read_imu(message.data)[0]: cdr.read_imu(message.data) for message in recording.messages.get(IMUS, ())
        }
    except cdr.CdrError as error:
        raise LandbridgeError(f"{recording.path}: {error}") from None
    with_imu = np.array([stamp in imu for stamp in stamps])
    kept = with_imu & _while_driven(stamps, written, driven)
    if not kept.any():
        raise LandbridgeError(
            f"{recording.path}: holds no motion to identify from: a policy must drive, under the gains of"
            f" {robot.name}'s description, in the recording of a whole run, as `landbridge excite` makes it"
        )
    chosen = stamps[kept]
    origin = written[0]

    def seconds(nanoseconds: NDArray[np.int64]) -> Array:
        return np.asarray(1e-9 * (nanoseconds - origin))

    return MotionLog(
        recording.path.name,
        seconds(chosen),
        pos[kept],
        vel[kept],
        seconds(written),
        target,
        np.stack([imu[stamp][1] for stamp in chosen.tolist()]),
        np.stack([imu[stamp][2] for stamp in chosen.tolist()]),
        np.maximum(1e-9 * ages[kept], 0.0),
    )


def _targets(recording: Recording, robot: Robot) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
    """Times (U,) ns of what was written, targets (U, J), and whether a policy drove under the robot's gains (U,)."""
    times, targets, driven = [], [], []
    for message in recording.messages.get(TICKS, ()):
        parts = cdr.read_sections(message.data)
        tick = ticks.decode(parts)
        delay = float(parts["written"][0]) - tick.time
        if tick.command["joint_target"].size != robot.num_joints:
            raise LandbridgeError(f"{recording.path}: of other joints than {robot.name} has")
        if not np.isfinite(delay):
            continue
        gains = tick.command
        own = np.allclose(gains["kp"], robot.kp, rtol=1e-3) and np.allclose(gains["kd"], robot.kd, rtol=1e-3)
        times.append(message.time + round(1e9 * delay))
        targets.append(gains["joint_target"])
        driven.append(own and tick.mode is Mode.ACTIVE)
    if not times:
        raise LandbridgeError(f"{recording.path}: holds no turn of robot_node's loop")
    unique, rows = np.unique(np.array(times, np.int64), return_index=True)
    return unique, np.stack(targets)[rows], np.array(driven, bool)[rows]


def _joints(recording: Recording, robot: Robot) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Stamps and ages (T,) ns, positions and velocities (T, J), by joint name."""
    stamps, ages, pos, vel = [], [], [], []
    for message in recording.messages.get(JOINT_STATES, ()):
        stamp, names, position, velocity, _ = cdr.read_joint_state(message.data)
        if set(names) != set(robot.joint_names) or velocity.size != position.size:
            raise LandbridgeError(f"{recording.path}: joint_states of other joints than {robot.name} has")
        order = [names.index(name) for name in robot.joint_names]
        stamps.append(stamp)
        ages.append(message.time - stamp)
        pos.append(position[order])
        vel.append(velocity[order])
    if not stamps:
        raise LandbridgeError(f"{recording.path}: holds no joint_states")
    unique, rows = np.unique(np.array(stamps, np.int64), return_index=True)
    return unique, np.array(ages, np.int64)[rows], np.stack(pos)[rows], np.stack(vel)[rows]


def _while_driven(
    stamps: NDArray[np.int64], written: NDArray[np.int64], driven: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(T,) bool: whether a policy drove at each stamp, and for `_SETTLE` before it."""
    misses = np.concatenate([[0], np.cumsum(~driven)])
    last = np.searchsorted(written, stamps, side="right")
    first = np.searchsorted(written, stamps - round(1e9 * _SETTLE))
    return np.asarray((last > first) & (misses[last] == misses[first]))
