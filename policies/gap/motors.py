"""The motors of an engine, identified: what each joint's torque follows, with which gains, offset and limit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.robot import Robot
from policies.gap.joints import JointMap
from policies.gap.response import GENTLE_ROWS, Response

Floats = NDArray[np.floating[Any]]

_BELOW_LIMIT = 0.98  # of the largest torque seen: what is above may be cut off
_INSTANTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FEWEST = 24  # samples a fit of four numbers needs to mean something
_CLEARLY = 0.2  # another joint's target must leave less than this of what the own leaves


@dataclass(frozen=True, eq=False)
class Motors:
    """torque = clip(kp (sign * target[source] + offset - q) - kd qd, -limit, limit), each (J,); NaN if never seen.

    Attributes:
        residual: root mean square of what the law leaves unexplained, N m.
        torque: root mean square of the torque that it explains, N m.
    """

    source: NDArray[np.int64]
    sign: Floats
    kp: Floats
    kd: Floats
    offset: Floats
    limit: Floats
    residual: Floats
    torque: Floats

    @property
    def map(self) -> JointMap:
        """Whose target each motor follows."""
        return JointMap(self.source, self.sign, self.offset, self.residual)


def identify(response: Response, robot: Robot) -> Motors:
    """Fit the law to `policies.gap.response.wild` responses.

    An engine may close its motors' loop anywhere within the last physics step: of several instants, that counts whose
    law leaves least.
    """
    source, sign = _sources(response, robot)
    fits = [_fit(response, robot, source, sign, instant) for instant in _INSTANTS]
    return min(fits, key=lambda motors: float(np.nansum(motors.residual)))


def _sources(response: Response, robot: Robot) -> tuple[NDArray[np.int64], Floats]:
    """Whose target each motor follows, (J,), and with which sign: that by which its torque is explained best."""
    source, sign = np.arange(robot.num_joints), np.ones(robot.num_joints)
    for i in robot.actuated:
        free = _free(response, i)
        if free.sum() < _FEWEST:
            continue
        own = [response.last_pos[free, i], response.last_vel[free, i], np.ones(int(free.sum()))]
        fits = {
            j: _least_squares(np.stack([response.target[free, j], *own], axis=1), response.torque[free, i])
            for j in robot.actuated
        }
        best = min(fits, key=lambda j: fits[j][1])
        source[i] = best if fits[best][1] < _CLEARLY * fits[i][1] else i
        sign[i] = -1.0 if fits[source[i]][0][0] < 0.0 else 1.0
    return source, sign


def _fit(response: Response, robot: Robot, source: NDArray[np.int64], sign: Floats, instant: float) -> Motors:
    """The law on joints as they were at an instant of the last physics step, from 0 at its start to 1 at its end."""
    torque, target = response.torque.astype(np.float64), response.target.astype(np.float64)
    pos = response.last_pos + instant * (response.after.joint_pos.astype(np.float64) - response.last_pos)
    vel = response.last_vel + instant * (response.after.joint_vel.astype(np.float64) - response.last_vel)
    result = {name: np.full(len(source), np.nan) for name in ("kp", "kd", "offset", "limit", "residual", "torque")}
    gentle = np.zeros(len(torque), bool)
    gentle[GENTLE_ROWS] = True
    for i in robot.actuated:
        free = _free(response, i)
        # Gains from gentle motions, if there are enough: the faster, the more the instant matters.
        chosen = free & gentle if (free & gentle).sum() >= _FEWEST else free
        if chosen.sum() < _FEWEST:
            continue
        error = sign[i] * target[:, source[i]] - pos[:, i]
        columns = np.stack([error[chosen], -vel[chosen, i], np.ones(int(chosen.sum()))], axis=1)
        (kp, kd, constant), result["residual"][i] = _least_squares(columns, torque[chosen, i])
        result["kp"][i], result["kd"][i], result["offset"][i] = kp, kd, constant / kp
        result["torque"][i] = np.sqrt(np.square(torque[chosen, i]).mean())
        beyond = np.abs(kp * error + constant - kd * vel[:, i]) > 1.2 * robot.joint_effort_limit[i]
        if beyond.any():
            result["limit"][i] = np.median(np.abs(torque[beyond, i]))
    return Motors(source, sign, **result)


def _free(response: Response, joint: int) -> NDArray[np.bool_]:
    """(M,) where the torque of a joint is not cut off."""
    size = np.abs(response.torque[:, joint])
    return size < _BELOW_LIMIT * size.max()


def _least_squares(a: Floats, y: Floats) -> tuple[Floats, float]:
    """Coefficients and root mean square of the remainder."""
    a, y = a.astype(np.float64), y.astype(np.float64)
    fitted = np.linalg.lstsq(a, y, rcond=None)[0]
    return fitted, float(np.sqrt(np.square(y - a @ fitted).mean()))
