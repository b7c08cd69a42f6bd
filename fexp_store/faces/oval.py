"""The oval on black of the study's pictures."""

import numpy as np
from numpy.typing import NDArray


def oval(size: int) -> NDArray[np.float64]:
    """Draw the soft-edged oval of the study's pictures.

    Parameters
    ----------
    size : int
        Pixels.

    Returns
    -------
    float64 array of shape (size, size, 1)
        1 inside, 0 outside.
    """
    place = (np.arange(size) + 0.5) / size * 2 - 1
    across, down = np.meshgrid(place, place)
    away = np.hypot(across / 0.72, down / 0.99)
    share = np.clip((1 - away) / 0.035, 0, 1)
    return (share * share * (3 - 2 * share))[..., None]
