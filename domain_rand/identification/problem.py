"""How far a candidate's simulation is from the log, in units of what noise alone would do.

What is not known of each window beside the parameters (its exact beginning, slow errors of the sensors) is small and
acts almost linearly, so it is integrated out: residuals r with covariance I + E D E', where column q of E is what
coordinate q of the beginning, or a constant error of a reading, does to the readings, and D are its variances. Without
that, noise in where a window begins would be taken for physics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain_rand.identification.replay import Replay
from domain_rand.identification.unknowns import Unknown, values_of
from domain_rand.identification.windows import Noise

Array = NDArray[np.float64]

PRIOR_STD = 1.0 / np.sqrt(12.0)
"""Of a scaled parameter: that of a uniform distribution from 0 to 1."""

_WORST = 100.0  # standard deviations; more says no more, and a simulation that diverged counts as much
_STEP = 0.02  # of a scaled parameter, for differences: large against the engine's single precision


@dataclass(frozen=True)
class Doubt:
    """Standard deviation of what is not known of a window beside the parameters."""

    height: float = 0.003  # m, of the base at its beginning
    lin_vel: float = 0.05  # m/s
    turn: float = 0.01  # rad
    ang_vel: float = 0.05  # rad/s
    joint_pos_offset: float = 0.01  # rad, constant error of an encoder
    gyro_offset: float = 0.01  # rad/s
    tilt_offset: float = 0.01  # of the direction of gravity


class Problem:
    """Residuals of candidates.

    Args:
        replay: simulates them.
        unknowns: what the P scaled numbers of a candidate are.
        noise: of one sample of each signal.
        doubt: see there.
    """

    def __init__(self, replay: Replay, unknowns: Sequence[Unknown], noise: Noise, doubt: Doubt | None = None) -> None:
        doubt = doubt or Doubt()
        self.unknowns = tuple(unknowns)
        self.size = sum(len(item.labels) for item in unknowns)
        self._replay = replay
        measured = replay.measured()
        self._noise = np.empty(measured.shape[2])
        for name, columns in replay.signals.items():
            self._noise[columns] = getattr(noise, name)
        self._measured = measured / self._noise
        of_start = {"joint_pos": noise.joint_pos, "joint_vel": noise.joint_vel}
        self._start = np.array([of_start[n] if n in of_start else getattr(doubt, n) for n in replay.shifts])
        offsets = [
            (columns, getattr(doubt, f"{name}_offset"))
            for name, columns in replay.signals.items()
            if hasattr(doubt, f"{name}_offset")
        ]
        self._offsets = np.zeros((sum(c.stop - c.start for c, _ in offsets), measured.shape[2]))
        row = 0
        for columns, std in offsets:
            for column in range(columns.start, columns.stop):
                self._offsets[row, column] = std / self._noise[column]
                row += 1
        # Of each window: directions (R, K) of what is not known of it, and by how much they count less (K,).
        self._bases: dict[int, tuple[Array, Array]] = {}

    @property
    def windows(self) -> NDArray[np.int64]:
        """All windows."""
        return np.arange(self._replay.num_windows)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the P numbers."""
        return tuple(name for item in self.unknowns for name in item.names)

    def readings(self, x: Array) -> tuple[Array, Array]:
        """Measured and simulated (S, M, D) with the scaled numbers `x` (P,), in SI units."""
        predicted = self._replay.predict(values_of(self.unknowns, x[None]), self.windows)[0]
        return self._measured * self._noise, predicted

    def linearise(self, x: Array, windows: NDArray[np.int64]) -> None:
        """Find what beginnings and constant errors of some windows do, at the scaled numbers `x` (P,)."""
        values = values_of(self.unknowns, x[None])
        shift = np.concatenate([np.diag(self._start), np.diag(-self._start)])
        repeated = {name: np.repeat(value, len(shift), axis=0) for name, value in values.items()}
        moved = self._bounded(self._replay.predict(repeated, windows, shift) / self._noise - self._measured[windows])
        up, down = np.split(moved, 2)
        effect = 0.5 * (up - down).reshape(len(self._start), len(windows), -1)
        constant = np.tile(self._offsets, self._measured.shape[1])
        for i, window in enumerate(windows.tolist()):
            columns = np.concatenate([effect[:, i], constant]).T
            basis, size, _ = np.linalg.svd(columns, full_matrices=False)
            self._bases[window] = basis, 1.0 - 1.0 / np.sqrt(1.0 + size**2)

    def residuals(self, x: Array, windows: NDArray[np.int64] | None = None) -> Array:
        """White residuals (C, S, R) of the candidates `x` (C, P) in some windows, or all.

        `linearise` comes first.
        """
        windows = self.windows if windows is None else windows
        predicted = self._replay.predict(values_of(self.unknowns, x), windows)
        plain = self._bounded(predicted / self._noise - self._measured[windows])
        flat = plain.reshape(*plain.shape[:2], -1)
        for i, window in enumerate(windows.tolist()):
            basis, shrink = self._bases[window]
            flat[:, i] -= (flat[:, i] @ basis * shrink) @ basis.T
        return flat

    def jacobian(self, x: Array) -> tuple[Array, Array]:
        """White residuals (S, R) at `x` (P,), and their derivatives (P, S, R), central where the bounds allow it."""
        sides = x + np.concatenate([np.diag(np.full(self.size, _STEP)), np.diag(np.full(self.size, -_STEP))])
        sides = np.clip(sides, 0.0, 1.0)
        found = self.residuals(np.concatenate([x[None], sides]))
        width = np.diag(sides[: self.size] - sides[self.size :])
        return found[0], (found[1 : self.size + 1] - found[self.size + 1 :]) / width[:, None, None]

    @staticmethod
    def _bounded(residuals: Array) -> Array:
        return np.clip(np.nan_to_num(residuals, nan=_WORST), -_WORST, _WORST)
