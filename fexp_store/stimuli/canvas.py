"""The off-screen window that turns coloured meshes into pixels."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.stimuli.head_mesh import MISSING
from fexp_store.stimuli.scene import Part


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
    """

    def __init__(self, pixels: int, distance: float, background: int) -> None:
        self._vista, self._plotter = _open(pixels, background)
        self._pixels = pixels
        camera = self._plotter.camera
        camera.position, camera.focal_point, camera.up = (0, 0, distance), (0, 0, 0), (0, 1, 0)
        camera.view_angle = float(np.degrees(2 * np.arctan(1 / distance)))
        camera.clipping_range = (distance - 2.0, distance + 5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._plotter.close()

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
        self._plotter.clear_actors()
        for part in parts:
            self._add(part)
        self._plotter.render()
        image: NDArray[np.uint8] = np.asarray(self._plotter.screenshot(return_img=True))
        # The buffer holds 1/distance, scaled to 0 at the near and 1 at the far end.
        near, far = self._plotter.camera.clipping_range
        buffer = self._buffer()
        depth = near * far / (far - buffer * (far - near))
        return image, np.where(buffer < 1, depth, np.inf)

    def _add(self, part: Part) -> None:
        corners = np.column_stack([np.full(len(part.quads), 4), part.quads]).ravel()
        mesh = self._vista.PolyData(part.points.astype(np.float32), corners)
        mesh.point_data["colour"] = part.colour
        self._plotter.add_mesh(
            mesh, scalars="colour", rgb=True, lighting=False, reset_camera=False, render=False
        )

    def _buffer(self) -> NDArray[np.float64]:
        """VTK's depth buffer, 0 to 1, upper row first, shape (pixels, pixels)."""
        size = self._pixels
        values = self._vista._vtk.vtkFloatArray()
        self._plotter.render_window.GetZbufferData(0, 0, size - 1, size - 1, values)
        rows = self._vista.convert_array(values).reshape(size, size)
        return np.flipud(rows).astype(np.float64)


def _open(pixels: int, background: int) -> tuple[Any, Any]:
    try:
        import pyvista
    except ImportError as error:
        raise BadInput(MISSING) from error
    plotter = pyvista.Plotter(off_screen=True, window_size=[pixels, pixels])
    plotter.set_background([background] * 3)
    return pyvista, plotter
