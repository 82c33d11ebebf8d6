"""Ground that robots walk on: one description, the same heights in every engine."""

from sim.terrains.terrain import FLAT, Boxes, Flat, Rough, Slope, Stairs, Terrain, ground_under, spawn_height

__all__ = ["FLAT", "Boxes", "Flat", "Rough", "Slope", "Stairs", "Terrain", "ground_under", "spawn_height"]
