"""What a video is made of: the poses of one robot over time."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contract.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """Poses of one robot, in the order of time.

    Attributes:
        time: (T,) s, increasing.
        root_pos: (T, 3) m, world.
        root_quat: (T, 4) w, x, y, z, world_from_base.
        joint_pos: (T, J) rad, in the order of the robot description.
        captions: one line of text a frame, or none at all.

    Raises:
        UsageError: the arrays do not belong together or hold numbers that are not finite.
    """

    time: Array
    root_pos: Array
    root_quat: Array
    joint_pos: Array
    captions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = self.time.size
        joints = self.joint_pos.shape[-1] if self.joint_pos.ndim else 0
        expected = {
            "time": (count,),
            "root_pos": (count, 3),
            "root_quat": (count, 4),
            "joint_pos": (count, joints),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise UsageError(f"frames: {name} has shape {array.shape}, expected {shape}.")
            if not np.isfinite(array).all():
                raise UsageError(f"frames: {name} holds a number that is not finite: nothing can be drawn.")
        if count == 0 or np.any(np.diff(self.time) <= 0):
            raise UsageError("frames: time must hold at least one sample and increase strictly.")
        if self.captions and len(self.captions) != count:
            raise UsageError(f"frames: {len(self.captions)} captions for {count} frames.")

    @staticmethod
    def of(
        time: ArrayLike,
        root_pos: ArrayLike,
        root_quat: ArrayLike,
        joint_pos: ArrayLike,
        captions: tuple[str, ...] = (),
    ) -> "Frames":
        """Frames from anything that numpy takes as an array."""
        time, root_pos, root_quat, joint_pos = (
            np.asarray(a, dtype=np.float64) for a in (time, root_pos, root_quat, joint_pos)
        )
        return Frames(time, root_pos, root_quat, joint_pos, captions)

    def __len__(self) -> int:
        return len(self.time)

    def between(self, start: float, end: float) -> "Frames":
        """The part from `start` to `end` s of its own clock.

        Raises:
            UsageError: nothing was recorded in that time.
        """
        rows = np.flatnonzero((self.time >= start) & (self.time <= end))
        if len(rows) == 0:
            raise UsageError(
                f"frames: none from {start:g} to {end:g} s; they cover {self.time[0]:g} to {self.time[-1]:g}"
            )
        part = slice(rows[0], rows[-1] + 1)
        return Frames(
            self.time[part],
            self.root_pos[part],
            self.root_quat[part],
            self.joint_pos[part],
            self.captions[part],
        )

    def with_captions(self, captions: tuple[str, ...]) -> "Frames":
        """The same motion with a line of text a frame."""
        return replace(self, captions=captions)

    def resample(self, fps: float) -> "Frames":
        """The same motion at `fps` frames a second: linear between samples, captions of the sample before."""
        if not fps > 0:
            raise UsageError(f"frames: fps must be positive, not {fps}.")
        duration = self.time[-1] - self.time[0]
        # The small excess keeps the last frame when the duration is a whole number of frame periods.
        time = self.time[0] + np.arange(int(duration * fps + 1e-6) + 1) / fps
        after = np.clip(np.searchsorted(self.time, time, side="right"), 1, max(len(self) - 1, 1))
        before = np.minimum(after - 1, len(self) - 1)
        after = np.minimum(after, len(self) - 1)
        gap = np.where(after > before, self.time[after] - self.time[before], 1.0)
        weight = np.clip((time - self.time[before]) / gap, 0.0, 1.0)[:, None]

        def blend(array: Array) -> Array:
            return array[before] * (1 - weight) + array[after] * weight

        first, second = self.root_quat[before], self.root_quat[after]
        # q and -q are one rotation: take the sign for which the blend goes the short way round.
        second = np.where(np.sum(first * second, axis=1, keepdims=True) < 0, -second, second)
        quat = first * (1 - weight) + second * weight
        quat /= np.linalg.norm(quat, axis=1, keepdims=True)
        # The small excess is for times that are those of a sample but for rounding.
        latest = np.maximum(np.searchsorted(self.time, time + 1e-9, side="right") - 1, 0)
        captions = tuple(self.captions[i] for i in latest) if self.captions else ()
        return Frames(time, blend(self.root_pos), quat, blend(self.joint_pos), captions)
