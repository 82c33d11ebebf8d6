"""Where the figures of an iteration go: `metrics.jsonl` and TensorBoard; and its episodes: `episodes.jsonl`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from contract.errors import LandbridgeError
from policies.metrics import FILE, MetricsFile
from sim.episode import Episode

EPISODES = "episodes.jsonl"


class TrainingLog:
    """Writes figures by name; `group/name` makes a group of plots in TensorBoard.

    Args:
        directory: of the run.
        resumed_at: iteration that the run goes on from; later figures, of a part that was lost, are dropped.

    Raises:
        LandbridgeError: the disk is full or not writable.
    """

    def __init__(self, directory: Path, resumed_at: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second, so not with this module

        self._metrics = MetricsFile(directory / FILE)
        self._episodes = MetricsFile(directory / EPISODES)
        try:
            self._metrics.drop_after(resumed_at)
            self._episodes.drop_after(resumed_at)
            self._board = SummaryWriter(
                directory / "tensorboard", purge_step=resumed_at + 1 if resumed_at else None, flush_secs=30
            )
        except OSError as error:
            raise _cannot_write(directory, error) from None
        self._directory = directory

    def write(self, iteration: int, figures: Mapping[str, float]) -> None:
        """Log one iteration.

        Raises:
            LandbridgeError: the disk is full or not writable.
        """
        try:
            self._metrics.append(iteration, figures)
            for name, value in figures.items():
                self._board.add_scalar(name, value, iteration)
        except OSError as error:
            raise _cannot_write(self._directory, error) from None

    def write_episodes(self, iteration: int, episodes: Sequence[Episode]) -> None:
        """Log episodes that ended in an iteration. Environment, episode and the run's seed bring their draw back.

        Raises:
            LandbridgeError: the disk is full or not writable.
        """
        try:
            for episode in episodes:
                self._episodes.append(iteration, dataclasses.asdict(episode))
        except OSError as error:
            raise _cannot_write(self._directory, error) from None

    def close(self) -> None:
        """Flush and close.

        Raises:
            LandbridgeError: the disk is full or not writable.
        """
        try:
            self._board.close()
        except OSError as error:
            raise _cannot_write(self._directory, error) from None


def _cannot_write(directory: Path, error: OSError) -> LandbridgeError:
    return LandbridgeError(f"cannot write the training log in {directory}: {error.strerror or error}")
