"""What a robot's joint positions and its IMU say about its shape: clearances, height above its feet, its tool."""

import numpy as np

from contract.robot import Robot
from contract.rotations import quat_to_matrix
from deploy_robot import monitors
from deploy_robot.arrays import Tensor, like, pick
from deploy_robot.kinematics import Skeleton, segment_distance


class Geometry:
    """The parts of one robot that constraints look at; what the robot has no facts about is empty.

    Args:
        robot: with `links`.

    Attributes:
        pairs: names of the capsules that must keep clear of each other, as "FL_shank-FR_shank".
        feet: names of the feet whose place is known.
        tool: whether there is a workspace to keep to.
    """

    def __init__(self, robot: Robot) -> None:
        capsules = {capsule.name: i for i, capsule in enumerate(robot.capsules)}
        feet = [foot for foot in robot.feet if foot.link]
        points = [(capsule.link, point) for capsule in robot.capsules for point in (capsule.start, capsule.end)]
        points += [(foot.link, foot.pos) for foot in feet]
        points += [(robot.workspace.link, robot.workspace.point)] if robot.workspace else []
        self._skeleton = Skeleton(robot, points)
        self.pairs = tuple(f"{one}-{other}" for one, other in robot.capsule_pairs)
        self.feet = tuple(foot.name for foot in feet)
        self.tool = robot.workspace is not None
        one, other = np.array([[capsules[name] for name in pair] for pair in robot.capsule_pairs], int).reshape(-1, 2).T
        radius = np.array([capsule.radius for capsule in robot.capsules])
        self._radii = radius[one] + radius[other]
        # Indices of the points, (pairs, 4).
        self._ends = np.stack((2 * one, 2 * one + 1, 2 * other, 2 * other + 1), axis=-1)
        self._feet = slice(2 * len(capsules), 2 * len(capsules) + len(feet))
        self._foot_radii = np.array([foot.radius for foot in feet])
        self._imu_from_base = np.asarray(quat_to_matrix(robot.base_from_imu), dtype=np.float64).T

    def points(self, joint_pos: Tensor) -> Tensor:
        """What the other methods take: (..., points, 3) m in the base frame, for (..., num_joints) rad."""
        return self._skeleton.points(joint_pos)

    def clearances(self, points: Tensor) -> Tensor:
        """Between the surfaces of each pair, m, negative where they overlap: (..., pairs)."""
        return segment_distance(pick(points, self._ends, -2)) - like(self._radii, points)

    def base_height(self, points: Tensor, world_up: Tensor) -> Tensor:
        """Of the base above the underside of the foot that is lowest along gravity, m: (...).

        Args:
            world_up: (..., 3) against gravity, a unit vector in the IMU frame.
        """
        up = world_up @ like(self._imu_from_base, points)
        above = (points[..., self._feet, :] @ up[..., None])[..., 0]
        return monitors.worst(like(self._foot_radii, points) - above)

    def tool_position(self, points: Tensor) -> Tensor:
        """Of the point that keeps to the workspace, m in the base frame: (..., 3)."""
        return points[..., -1, :]
