"""Terrain as a USD stage of static colliders, for Isaac Lab."""

from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from sim.terrains.shapes import BoxShape, Ground, HeightFieldShape, PlaneShape

_ROOT = "/ground"


def write_ground(ground: Ground, path: Path) -> None:
    """Write the shapes of `ground` to a `.usda` file.

    A height field is a mesh that asks Newton to make a height field of it again, at its own spacing: MuJoCo's solver
    would otherwise collide with the mesh's convex hull.
    """
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, _ROOT).GetPrim())
    if ground.plane is not None:
        _add_plane(stage, f"{_ROOT}/plane", ground.plane)
    for i, box in enumerate(ground.boxes):
        _add_box(stage, f"{_ROOT}/box_{i}", box)
    for i, field in enumerate(ground.fields):
        _add_field(stage, f"{_ROOT}/field_{i}", field)
    stage.GetRootLayer().Export(str(path))


def _add_plane(stage: Usd.Stage, path: str, plane: PlaneShape) -> None:
    """Without width and length: without end."""
    shape = UsdGeom.Plane.Define(stage, path)
    shape.CreateAxisAttr(UsdGeom.Tokens.z)
    shape.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(_turn(plane))
    UsdPhysics.CollisionAPI.Apply(shape.GetPrim())


def _turn(plane: PlaneShape) -> Gf.Quatd:
    """The shortest rotation that turns z into the plane's normal: about (z x normal) by the angle between."""
    x, y, z = plane.normal
    half = np.array([1.0 + z, -y, x, 0.0])
    w, i, j, k = (half / np.linalg.norm(half)).tolist()
    return Gf.Quatd(w, i, j, k)


def _add_box(stage: Usd.Stage, path: str, box: BoxShape) -> None:
    shape = UsdGeom.Cube.Define(stage, path)
    shape.CreateSizeAttr(2.0)
    shape.AddTranslateOp().Set(Gf.Vec3d(*box.centre))
    shape.AddScaleOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*box.half_size))
    UsdPhysics.CollisionAPI.Apply(shape.GetPrim())


def _add_field(stage: Usd.Stage, path: str, field: HeightFieldShape) -> None:
    vertices, faces = field.triangles()
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr([Gf.Vec3f(*vertex) for vertex in vertices.tolist()])
    mesh.CreateFaceVertexCountsAttr([3] * len(faces))
    mesh.CreateFaceVertexIndicesAttr(faces.ravel().tolist())
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    prim = mesh.GetPrim()
    UsdPhysics.CollisionAPI.Apply(prim)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.none)
    prim.CreateAttribute("newton:heightfield:resolution", Sdf.ValueTypeNames.Float).Set(field.spacing)
