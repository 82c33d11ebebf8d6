"""Warp on the device that was asked for: started quietly, kernels announced, launches recorded and replayed."""

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator

import torch
import warp as wp

from contract.errors import UsageError

_PATIENCE = 5.0  # s of compiling, after which a user is told what takes so long


def start(device: str) -> torch.device:
    """Start Warp. `device` is `cpu`, `cuda:0` and the like, or `auto`.

    Raises:
        UsageError: there is no such device.
    """
    wp.config.log_level = max(wp.config.log_level, wp.LOG_WARNING)
    with _stderr_closed() if not _has_driver() else contextlib.nullcontext():
        wp.init()  # says on stderr that there is no driver, whatever the log level
    if device == "auto":
        device = "cuda:0" if wp.is_cuda_available() and torch.cuda.is_available() else "cpu"
    kind, _, index = device.partition(":")
    if device == "cpu":
        return torch.device("cpu")
    if kind != "cuda" or not (index or "0").isdigit():
        raise UsageError(f"device {device}: engine mujoco_warp runs on cpu or cuda:0")
    number, there = int(index or "0"), min(wp.get_cuda_device_count(), torch.cuda.device_count())
    if number >= there:
        why = f"{there} NVIDIA GPUs are here that both Warp and this build of torch ({torch.__version__}) can use"
        raise UsageError(f"device {device}: {why}; leave out --device, or use --device cpu")
    return torch.device("cuda", number)


def warp_name(device: torch.device) -> str:
    """Warp's name of a torch device."""
    return "cpu" if device.type == "cpu" else f"cuda:{device.index}"


class Recording:
    """Launches that were recorded once and are replayed without Python in between.

    On a GPU this is a CUDA graph, on the CPU Warp's own list of operations. On a GPU `work` also runs once before it is
    recorded, since older drivers cannot load kernels while they record.
    """

    def __init__(self, device: torch.device, work: Callable[[], None]) -> None:
        self._device = device
        self._stream: wp.Stream | None = None
        self._handle: int | None = None
        with wp.ScopedDevice(warp_name(device)), _announced():
            if device.type == "cuda":
                work()
            with wp.ScopedCapture() as capture:
                work()
        self._graph = capture.graph
        synchronise(device)

    def launch(self) -> None:
        """Replay, in order with torch's work on its current stream."""
        if self._device.type == "cuda":
            handle = torch.cuda.current_stream(self._device).cuda_stream
            if handle != self._handle:
                self._stream, self._handle = wp.stream_from_torch(self._device), handle
        wp.capture_launch(self._graph, stream=self._stream)


def synchronise(device: torch.device) -> None:
    """Wait for all work on the device: before memory is handed from one stream to another, or back."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _Announcer:
    """A Warp logger that says once, on stderr, that kernels are being compiled; nothing if they come from the cache."""

    said = False  # by whichever announcer

    def __init__(self) -> None:
        self._others = wp.get_logger()
        self._began = time.monotonic()

    def info(self, message: str) -> None:
        if "(compiled)" in message and not _Announcer.said and time.monotonic() - self._began > _PATIENCE:
            _Announcer.said = True
            text = "mujoco_warp: compiling physics kernels, which takes a few minutes the first time on a machine"
            print(text, file=sys.stderr, flush=True)

    def debug(self, message: str) -> None:
        """Say nothing."""

    def warning(self, message: str, category: type[Warning] | None = None, stacklevel: int = 1) -> None:
        self._others.warning(message, category, stacklevel + 1)

    def error(self, message: str) -> None:
        self._others.error(message)


@contextlib.contextmanager
def _announced() -> Iterator[None]:
    with wp.ScopedLogLevel(wp.LOG_INFO), wp.ScopedLogger(_Announcer()):
        yield


def _has_driver() -> bool:
    for library in ("libcuda.so.1", "libcuda.so", "nvcuda.dll"):
        with contextlib.suppress(OSError):
            ctypes.CDLL(library)
            return True
    return False


@contextlib.contextmanager
def _stderr_closed() -> Iterator[None]:
    """Send what native code writes to stderr nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
