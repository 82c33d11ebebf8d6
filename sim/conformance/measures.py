"""What blocks do under their parameters, against what should be: weight, flight and sliding."""

import math

import torch
from torch import Tensor

from sim.conformance.bench import GRAVITY, advance, place, read
from sim.conformance.contact import (
    SLIDE_REASON,
    SLIDE_TIME,
    SLIDE_TOLERANCE,
    STEEP,
    mass_of,
    mean_contact,
    slide,
    slope_speed,
)
from sim.conformance.law import Measurement, worst
from sim.conformance.rigid_body import FLIGHT_REASON, flight, flight_tolerance
from sim.conformance.robots import BLOCK, BLOCK_CENTRE, BLOCK_MASSES
from sim.engines.engine import Engine


def compare_weight(engine: Engine, payload: Tensor) -> Measurement:
    """Blocks on the floor that weigh `payload` (N,) kg more than theirs."""
    advance(engine, 200)
    expected = GRAVITY * (mass_of(BLOCK) + payload)
    deviation = worst(mean_contact(engine, 100) / expected - 1.0)
    return Measurement(
        deviation, 0.01, "1", "relative; contacts of a block that rests still tremble: the mean of 0.1 s"
    )


def compare_flight(engine: Engine, shift: Tensor, payload: Tensor) -> Measurement:
    """Blocks that spin about axes which stay principal ones, for shifts (N, 3) m and payloads (N, 1) kg of the base."""
    height = torch.tensor([0.0, 0.0, 10.0])
    spin = torch.tensor([[0.0, 0.0, 6.0], [0.0, 0.0, 6.0], [0.0, 6.0, 0.0], [0.0, 0.0, -6.0]], dtype=torch.float64)
    still, upright = torch.zeros(4, 3, dtype=torch.float64), torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 4).double()
    place(engine, root_pos=height, root_ang_vel=spin)
    steps, dt = 60, engine.physics_dt
    advance(engine, steps)
    t = steps * engine.decimation * dt
    base, rotor = BLOCK_MASSES
    centre = (base + payload) / (base + payload + rotor) * (torch.tensor(BLOCK_CENTRE) + shift).double()
    expected, _ = flight(height, upright, still, spin, centre, t)
    deviation = worst((read(engine.state.root_pos) - expected).norm(dim=1))
    return Measurement(deviation, flight_tolerance(dt, t, 6.0, centre.norm(dim=1).max().item()), "m", FLIGHT_REASON)


def compare_slide(engine: Engine, mu: Tensor) -> Measurement:
    """Blocks of friction `mu` (N,) on the steep slope."""
    expected = (GRAVITY * (math.sin(STEEP) - mu.double() * math.cos(STEEP))).clamp(min=0.0)
    distance = slide(engine, STEEP)
    # A block that should stick may have given way while it was set down, but it has gained no speed.
    found = torch.where(expected > 0.0, distance, slope_speed(engine, STEEP) / SLIDE_TIME)
    deviation = worst(found - expected)
    return Measurement(deviation, SLIDE_TOLERANCE, "m/s^2", SLIDE_REASON)
