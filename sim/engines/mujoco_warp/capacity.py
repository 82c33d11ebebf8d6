"""How much room contacts and constraints need, and how many environments a device has room for."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np
import torch
import warp as wp
from mujoco_warp import GeomType
from numpy.typing import NDArray

from contract.errors import LandbridgeError
from sim.engines.mujoco_warp import device as mujoco_warp_device

# Most contacts of a pair of geoms, as MuJoCo Warp's collision functions give them.
_CONTACTS = {
    (GeomType.PLANE, GeomType.SPHERE): 1,
    (GeomType.PLANE, GeomType.ELLIPSOID): 1,
    (GeomType.PLANE, GeomType.CAPSULE): 2,
    (GeomType.PLANE, GeomType.CYLINDER): 4,
    (GeomType.CAPSULE, GeomType.CAPSULE): 2,
    (GeomType.CAPSULE, GeomType.BOX): 2,
}
_HFIELD_CONTACTS = 4
_PRIMITIVE = (GeomType.PLANE, GeomType.SPHERE, GeomType.CAPSULE, GeomType.BOX)  # pairs of these have own routines
_OTHER_CONTACTS = 8  # corners of a box

_TILE = 16  # rows: MuJoCo Warp's kernels work on tiles of so many, and are compiled anew for another number
_SHARE = 0.8  # of the free memory, for physics: rollouts and networks need some too


@dataclass(frozen=True)
class Capacity:
    """Room for contacts and constraints.

    Attributes:
        contacts: contacts an environment, from a pool that all share.
        rows: constraint rows of each environment.
        convex: pairs of geoms an environment that go through the general routine for convex geoms at a time, of one
            pair of types; each takes 5 kB.
    """

    contacts: int
    rows: int
    convex: int

    @staticmethod
    def of(model: mujoco.MjModel, pairs: NDArray[np.int32]) -> "Capacity":
        """As much as the model can need, so that nothing is lost whatever a robot does.

        Args:
            model: robot and ground.
            pairs: (P, 2) geoms that may collide.
        """
        contacts = max(1, _most_contacts(model, pairs))
        rows = contacts * max(1, 2 * (int(model.geom_condim.max(initial=1)) - 1))
        rows += model.nv + int(model.jnt_limited.sum()) + 6 * model.neq + 3 * model.ntendon
        types = np.sort(model.geom_type[pairs], axis=1)
        counts = np.unique(types[~np.isin(types, _PRIMITIVE).all(axis=1)], axis=0, return_counts=True)[1]
        return Capacity(contacts, _tiles(rows), min(contacts, int(counts.max(initial=0))))

    def enlarged(self, contacts: int, rows: int) -> "Capacity":
        """With half as much again as what was needed, where that was more than there is."""
        return replace(
            self,
            contacts=contacts + contacts // 2 if contacts > self.contacts else self.contacts,
            rows=_tiles(rows + rows // 2) if rows > self.rows else self.rows,
        )


def _tiles(rows: int) -> int:
    return -(-rows // _TILE) * _TILE


def _most_contacts(model: mujoco.MjModel, pairs: NDArray[np.int32]) -> int:
    """Most contacts at a time. A geom touches every plane, but only those of many boxes that are close together."""
    fixed = model.body_weldid[model.geom_bodyid] == 0
    total = 0
    beside: dict[int, list[int]] = {}  # moving geom -> geoms of bounded size on the ground
    for first, second in pairs.tolist():
        moving, still = (first, second) if fixed[second] else (second, first)
        if fixed[still] and model.geom_rbound[still] > 0.0 and model.geom_type[still] != GeomType.HFIELD:
            beside.setdefault(moving, []).append(still)
        else:
            total += _pair_contacts(model, first, second)
    for moving, still in beside.items():
        each = max(_pair_contacts(model, moving, other) for other in still)
        total += each * _most_at_once(model, still, float(model.geom_rbound[moving] + model.geom_margin[moving]))
    return total


def _pair_contacts(model: mujoco.MjModel, first: int, second: int) -> int:
    low, high = sorted((int(model.geom_type[first]), int(model.geom_type[second])))
    if low == GeomType.HFIELD:
        return _HFIELD_CONTACTS
    return 1 if low == GeomType.SPHERE else _CONTACTS.get((low, high), _OTHER_CONTACTS)


def _most_at_once(model: mujoco.MjModel, geoms: list[int], reach: float) -> int:
    """Most of these geoms within `reach` m of one point, seen from above: rectangles that overlap there."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    rotation = np.abs(data.geom_xmat[geoms].reshape(-1, 3, 3))
    half = np.einsum("gij,gj->gi", rotation, model.geom_aabb[geoms, 3:])[:, :2] + model.geom_margin[geoms, None] + reach
    offset = np.einsum("gij,gj->gi", data.geom_xmat[geoms].reshape(-1, 3, 3), model.geom_aabb[geoms, :3])
    centre = (data.geom_xpos[geoms] + offset)[:, :2]
    low, high = centre - half, centre + half
    # The deepest overlap begins at the left edge of one rectangle and the lower edge of one.
    x, y = low[:, None, 0], low[:, None, 1]
    across = (low[:, 0] <= x) & (x <= high[:, 0])
    along = (low[:, 1] <= y) & (y <= high[:, 1])
    return int((across.astype(int) @ along.T.astype(int)).max())


# -- memory -------------------------------------------------------------------------------------------------------


def count_that_fit(build: Callable[[], object], built: int, device: torch.device) -> int:
    """How many environments the device has room for beside what is on it now.

    Args:
        build: builds, and records, some environments.
        built: so many.
        device: where.
    """
    reports: list[str] = []
    with wp.ScopedMemoryTracker(print=False, report_func=reports.append) as tracker:
        tracker.clear()
        build()
        tracker.report()
    taken = _peak_bytes(reports[0], mujoco_warp_device.warp_name(device)) / built
    return int(_SHARE * _free_bytes(device) / taken)


def _peak_bytes(report: str, device: str) -> float:
    found = re.search(rf"Peak usage:\n(?:.*\n)*?\s+{device}\s+([\d.]+) ([KMGT]?B)", report)
    if found is None:
        raise LandbridgeError(f"mujoco_warp: Warp {wp.config.version} reports memory in a way that is not understood")
    return float(found[1]) * 1024.0 ** ["B", "KB", "MB", "GB", "TB"].index(found[2])


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(wp.get_device(mujoco_warp_device.warp_name(device)).free_memory)
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():  # counts what the system would give up from its caches
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
        if found:
            return 1024 * int(found[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
