"""The off-screen window that turns coloured meshes into pixels.

The only module that imports pyvista and its VTK. VTK draws pyvista's meshes directly: pyvista's own
plotter would import matplotlib, which takes a second and writes into the home folder.
"""

import ctypes
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyvista

# Imported for its effect: windows are then OpenGL windows.
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401
from numpy.typing import NDArray
from vtkmodules.vtkCommonCore import vtkFloatArray, vtkUnsignedCharArray
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow

from fexp_store.errors import BadInput
from fexp_store.faces.scene import Part

NO_OPENGL = (
    "Rendering faces needs an OpenGL driver and none was found: install EGL or OSMesa "
    "(on Debian and Ubuntu: apt install libegl1 libgl1-mesa-dri)"
)


class Canvas:
    """An off-screen VTK window, closed on exit.

    Parameters
    ----------
    pixels : int
        Width and height of what is drawn.
    distance : float
        Of the camera from the image plane, in half image widths.
    background : int
        Grey, 0 to 255.

    Raises
    ------
    BadInput
        If there is no OpenGL driver.
    """

    def __init__(self, pixels: int, distance: float, background: int) -> None:
        self._pixels = pixels
        self._window = _open(pixels)
        self._renderer = vtkRenderer()
        self._renderer.SetBackground(background / 255, background / 255, background / 255)
        self._window.AddRenderer(self._renderer)
        self._near, self._far = distance - 2.0, distance + 5.0
        camera = self._renderer.GetActiveCamera()
        camera.SetPosition(0, 0, distance)
        camera.SetViewAngle(float(np.degrees(2 * np.arctan(1 / distance))))
        camera.SetClippingRange(self._near, self._far)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._window.Finalize()

    def draw(self, parts: Sequence[Part]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Draw the parts as they are coloured.

        Parameters
        ----------
        parts : sequence of Part

        Returns
        -------
        colour : uint8 array of shape (pixels, pixels, 3)
        depth : float64 array of shape (pixels, pixels)
            Distance from the camera in half image widths; infinite where nothing was drawn.
        """
        self._renderer.RemoveAllViewProps()
        for part in parts:
            if len(part.points):
                self._renderer.AddActor(_actor(part))
        self._window.Render()
        last = self._pixels - 1
        values, buffer = vtkUnsignedCharArray(), vtkFloatArray()
        self._window.GetPixelData(0, 0, last, last, 0, values, 0)
        self._window.GetZbufferData(0, 0, last, last, buffer)
        # The buffer holds 1/distance, scaled to 0 at the near and 1 at the far end.
        scaled = self._upright(buffer, 1)[..., 0].astype(np.float64)
        depth = self._near * self._far / (self._far - scaled * (self._far - self._near))
        return self._upright(values, 3), np.where(scaled < 1, depth, np.inf)

    def _upright(self, values: Any, channels: int) -> NDArray[Any]:
        """Image of a VTK array, whose first row is the lowest."""
        rows = np.asarray(pyvista.convert_array(values))
        return np.flipud(rows.reshape(self._pixels, self._pixels, channels))


def _actor(part: Part) -> vtkActor:
    corners = np.column_stack([np.full(len(part.quads), 4), part.quads]).ravel()
    mesh = pyvista.PolyData(part.points.astype(np.float32), corners)
    mesh.point_data["colour"] = part.colour
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(mesh)
    mapper.SetScalarModeToUsePointFieldData()
    mapper.SelectColorArray("colour")
    mapper.SetColorModeToDirectScalars()
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().LightingOff()
    return actor


def _open(pixels: int) -> vtkRenderWindow:
    # Without a display VTK falls back to EGL, then to OSMesa, and warns of each step.
    with pyvista.vtk_verbosity("off"):
        window = vtkRenderWindow()
    if window.GetClassName() == "vtkOSOpenGLRenderWindow" and not has_osmesa():
        raise BadInput(NO_OPENGL)
    window.SetOffScreenRendering(1)
    # Pixels are averaged afterwards; VTK's own multisampling would only triple the time.
    window.SetMultiSamples(0)
    window.SetSize(pixels, pixels)
    return window


def has_osmesa() -> bool:
    """Whether OSMesa can be loaded; VTK crashes when it draws without it."""
    for name in ("libOSMesa.so.8", "libOSMesa.so", "libOSMesa.so.6", "osmesa.dll"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False
