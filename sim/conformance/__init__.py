"""Laws of physics that every engine keeps, for those that are here and for yours.

    make = functools.partial(sim.engines.make, "mujoco_cpu")
    with Bench(make) as bench:
        for law in LAWS:
            outcome = judge(law, bench)

A law builds engines of robots so simple that their motion can be written down, and measures by how much they miss it.
It compares that with a tolerance which follows from numerics: the order of integrators, soft contacts, float32. A
tolerance is the same for every engine.
"""

from sim.conformance import batch, contact, joints, loads, parameters, rigid_body, terrain
from sim.conformance.bench import Bench, MakeEngine, Setup
from sim.conformance.errors import NotOffered
from sim.conformance.law import Law, Measurement, Outcome, judge

__all__ = ["LAWS", "Bench", "Law", "MakeEngine", "Measurement", "NotOffered", "Outcome", "Setup", "judge"]

_ALL = (*rigid_body.LAWS, *contact.LAWS, *joints.LAWS, *parameters.LAWS, *loads.LAWS, *batch.LAWS, *terrain.LAWS)
_SETUPS = list(dict.fromkeys(one.setup for one in _ALL))

LAWS: tuple[Law, ...] = tuple(sorted(_ALL, key=lambda one: _SETUPS.index(one.setup)))
"""Those that share a setup follow each other, so that a bench builds it once."""
