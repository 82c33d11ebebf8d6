"""The robot in a picture: MuJoCo's ray caster finds the surfaces, so no OpenGL, display or GPU is needed."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from contract.robot import Robot
from sim.rendering.camera import Pinhole
from sim.rendering.frames import Frames
from sim.rendering.ground import LIGHT

Array = NDArray[np.float64]
Pixels = NDArray[np.float32]

VISUAL_GROUP = 2  # of geoms, in every robot description
FARTHEST = 50.0  # m
_COARSE = 4  # pixels between the rays that look for the robot; its thinnest part is twice as wide
_SAMPLES = np.array([[0.25, 0.33], [-0.25, -0.33]])  # pixels from the middle, beside the ray through the middle itself
_SUN = LIGHT / np.linalg.norm(LIGHT)


class Figure:
    """The visible shapes of one robot in a pose, without any physics."""

    def __init__(self, robot: Robot):
        spec = mujoco.MjSpec.from_file(str(robot.mjcf))
        for geom in spec.geoms:
            # The ray caster skips a body by the box around its colliding geoms, which leaves visual ones out
            # and is reckoned from its corners, too small for a wide body seen near. Without it tests all.
            geom.contype = geom.conaffinity = 0
        self._model = model = spec.compile()
        self._data = mujoco.MjData(model)
        self._root = int(model.jnt_qposadr[model.body(robot.base_body).jntadr[0]])
        self._joints = np.array([model.joint(name).qposadr[0] for name in robot.joint_names])
        self._visual = np.flatnonzero(model.geom_group == VISUAL_GROUP)
        self._groups = np.eye(mujoco.mjNGROUP, dtype=np.uint8)[VISUAL_GROUP]
        # One more row than geoms: a ray that meets nothing has index -1.
        self._colour = np.zeros((model.ngeom + 1, 3))
        self._colour[:-1] = 255 * model.geom_rgba[:, :3]

    def place(self, frames: Frames, index: int) -> None:
        """Take the pose of frame `index`."""
        qpos = self._data.qpos
        qpos[self._root : self._root + 3] = frames.root_pos[index]
        qpos[self._root + 3 : self._root + 7] = frames.root_quat[index]
        qpos[self._joints] = frames.joint_pos[index]
        mujoco.mj_kinematics(self._model, self._data)

    def spheres(self) -> tuple[Array, Array]:
        """Centres (G, 3) m and radii (G,) m of spheres around the visible shapes."""
        return self._data.geom_xpos[self._visual], self._model.geom_rbound[self._visual]

    def cast(self, origin: Array, rays: Array) -> tuple[NDArray[np.int32], Array]:
        """What rays (n, 3) from `origin` (3,) m meet first: geom (n,), -1 for nothing, and normal (n, 3)."""
        count = len(rays)
        geom, distance, normal = np.empty(count, np.int32), np.empty(count), np.zeros(3 * count)
        mujoco.mj_multiRay(
            self._model,
            self._data,
            origin,
            np.ascontiguousarray(rays, dtype=np.float64).ravel(),
            self._groups,
            1,
            -1,
            geom,
            distance,
            normal,
            count,
            FARTHEST,
        )
        return geom, normal.reshape(count, 3)

    def draw_over(self, picture: Pixels, pinhole: Pinhole) -> None:
        """Draw the robot into `picture` (H, W, 3): one ray a pixel, three where an edge passes through."""
        window = pinhole.window(*self.spheres())
        if window is None:
            return
        left, top, right, bottom = window
        mask = self._covered(pinhole, window)
        rows, columns = np.nonzero(mask)
        rows, columns = rows + top, columns + left
        geom, normal = self.cast(pinhole.eye, pinhole.rays(columns, rows))

        seen = np.full((bottom - top, right - left), -1, np.int32)
        seen[mask] = geom
        facing = np.zeros((*seen.shape, 3))
        facing[mask] = normal
        edge = _edges(seen, facing)[mask]
        plain = (geom >= 0) & ~edge
        picture[rows[plain], columns[plain]] = self._shade(geom[plain], normal[plain], pinhole)

        rows, columns = rows[edge], columns[edge]
        if len(rows) == 0:
            return
        at = np.stack([columns, rows], axis=1) + _SAMPLES[:, None]
        more = self.cast(pinhole.eye, pinhole.rays(at[..., 0].ravel(), at[..., 1].ravel()))
        geom, normal = np.concatenate([geom[edge], more[0]]), np.concatenate([normal[edge], more[1]])
        samples = (1 + len(_SAMPLES), len(rows))
        colour = self._shade(geom, normal, pinhole).reshape(*samples, 3).mean(axis=0)
        cover = (geom >= 0).reshape(samples).mean(axis=0)[:, None]
        picture[rows, columns] = picture[rows, columns] * (1 - cover) + colour

    def _covered(self, pinhole: Pinhole, window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        """The pixels of `window` that the robot may cover, found with a coarse grid of rays."""
        left, top, right, bottom = window
        rows, columns = np.mgrid[top:bottom:_COARSE, left:right:_COARSE]
        geom, _ = self.cast(pinhole.eye, pinhole.rays(columns.ravel(), rows.ravel()))
        hit = np.pad((geom >= 0).reshape(rows.shape), 1)
        near = hit[1:-1, 1:-1].copy()
        for down in (0, 1, 2):
            for across in (0, 1, 2):
                near |= hit[down : down + near.shape[0], across : across + near.shape[1]]
        return near.repeat(_COARSE, axis=0).repeat(_COARSE, axis=1)[: bottom - top, : right - left]

    def _shade(self, geom: NDArray[np.int32], normal: Array, pinhole: Pinhole) -> Array:
        """Colours (n, 3), 0 to 255, of sky light, sun and a highlight; black where nothing was met."""
        sky = 0.45 + 0.2 * normal[:, 2:]
        sun = 0.5 * np.maximum(normal @ _SUN, 0.0)[:, None]
        halfway = _SUN - pinhole.forward
        shine = np.maximum(normal @ (halfway / np.linalg.norm(halfway)), 0.0)[:, None] ** 24
        return self._colour[geom] * (sky + sun) + (geom >= 0)[:, None] * 45.0 * shine


def _edges(seen: NDArray[np.int32], facing: Array) -> NDArray[np.bool_]:
    """Pixels (H, W) with a neighbour that shows another shape, or the same one bending sharply."""
    edge = np.zeros(seen.shape, bool)
    for axis in (0, 1):
        first: list[slice] = [slice(None), slice(None)]
        second = first.copy()
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(first), tuple(second)
        differs = (seen[a] != seen[b]) | ((seen[a] >= 0) & (np.sum(facing[a] * facing[b], axis=-1) < 0.8))
        edge[a] |= differs
        edge[b] |= differs
    return edge
