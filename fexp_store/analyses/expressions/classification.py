"""How well images were classified, in one row: accuracy and what it is to be compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fexp_store.analyses.expressions.classifier import Labels
from fexp_store.analyses.expressions.cross_validation import Classified
from fexp_store.analyses.resampling import balanced_accuracy, identity_interval, per_identity
from fexp_store.warehouse.runs import Run

_SAME = 1e-12


@dataclass(frozen=True)
class Classification:
    """How well the images of a set were classified.

    Parameters
    ----------
    analysis : str
        ``decode`` or ``confuse``.
    test_set, units, selection : str
        What was classified, from which units, and where these were selected.
    images, identities : int
        That were classified.
    accuracy : float
        Proportion of images answered as depicted; of random units, its mean over draws.
    accuracy_low, accuracy_high : float or None
        Its interval of 95 % over identities; of random units, that of the first draw.
    balanced_accuracy : float
        Mean over expressions of the proportion of its images answered as depicted.
    majority : float
        Accuracy of always answering the most frequent expression of the training images.
    chance : float
        1 / number of expressions.
    units_low, units_high : int
        Fewest and most units of a classifier with true labels.
    classifiers, without_units : int
        Classifiers with true labels, and those for which no unit was selected, which answered the
        majority.
    components : int
        Most principal components of a classifier with true labels.
    shuffles : int
    shuffled, shuffled_low, shuffled_high : float or None
        Mean and central 95 % of the accuracy with shuffled labels.
    p : float or None
        (1 + shuffles with an accuracy as high) / (1 + shuffles); None without shuffles.
    draws : int
        Of random units; 0 for others.
    draws_low, draws_high : float or None
        Central 95 % of the accuracy over them.
    """

    analysis: str
    test_set: str
    units: str
    selection: str
    images: int
    identities: int
    accuracy: float
    accuracy_low: float | None
    accuracy_high: float | None
    balanced_accuracy: float
    majority: float
    chance: float
    units_low: int
    units_high: int
    classifiers: int
    without_units: int
    components: int
    shuffles: int
    shuffled: float | None
    shuffled_low: float | None
    shuffled_high: float | None
    p: float | None
    draws: int
    draws_low: float | None
    draws_high: float | None

    @property
    def row(self) -> pl.DataFrame:
        """Its row of the table ``results/classification``."""
        return pl.DataFrame([asdict(self)], schema_overrides=dict.fromkeys(_NULLS, pl.Float64))

    @property
    def shown(self) -> pl.DataFrame:
        """What of it a command prints."""
        without = [name for name, value in asdict(self).items() if value is None]
        hidden = {"analysis", "test_set", "classifiers", "without_units", "components", *without}
        if not self.draws:
            hidden.add("draws")
        return self.row.drop(hidden)

    def said(self) -> Iterator[str]:
        """What the numbers alone do not tell."""
        if self.selection == "circular":
            yield (
                "Circular: the units were selected on images that are classified here, so that "
                "even noise is classified well; this accuracy tells nothing about expressions."
            )
        if self.without_units:
            yield (
                f"No unit was selected for {self.without_units} of {self.classifiers} "
                "classifiers, which answered the majority of their training images."
            )


_NULLS = (
    *("accuracy_low", "accuracy_high", "shuffled", "shuffled_low", "shuffled_high", "p"),
    *("draws_low", "draws_high"),
)


def classification(found: Classified, identities: Labels, run: Run) -> Classification:
    """Sum up a classification.

    Parameters
    ----------
    found : Classified
    identities : ndarray of shape (n_images,), str
        Of the images that were classified.

    References
    ----------
    p: Phipson & Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9:39.
    """
    right = found.right
    shuffled = np.array([labelling.shuffle > 0 for labelling in found.labellings])
    accuracies = right.mean(axis=1)
    true, control = accuracies[~shuffled], accuracies[shuffled]
    accuracy = float(true.mean())
    low, high = identity_interval(*per_identity(right[0], identities))
    random = run.parameters["units"] == "random"
    answered = zip(found.labels[~shuffled], found.answers[~shuffled], strict=True)
    n_units = found.n_units[~shuffled]
    expressions = np.unique(found.labellings[0].labels)
    return Classification(
        analysis=run.row["kind"],
        test_set=run.parameters.get("test_set", run.parameters["stimulus_set"]),
        units=run.parameters["units"],
        selection=run.parameters["selection"],
        images=right.shape[1],
        identities=len(np.unique(identities)),
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        balanced_accuracy=float(np.mean([balanced_accuracy(*pair) for pair in answered])),
        majority=float(found.majority_right[0].mean()),
        chance=1 / len(expressions),
        units_low=int(n_units.min()),
        units_high=int(n_units.max()),
        classifiers=n_units.size,
        without_units=int((n_units == 0).sum()),
        components=int(found.components[~shuffled].max()),
        shuffles=len(control),
        **_central("shuffled", control, mean=True),
        p=float((1 + np.sum(control >= accuracy - _SAME)) / (1 + len(control)))
        if len(control)
        else None,
        draws=len(true) if random else 0,
        **_central("draws", true if random else true[:0], mean=False),
    )


def _central(name: str, values: NDArray[np.float64], *, mean: bool) -> dict[str, float | None]:
    """Return the central 95 % of values, and their mean."""
    found: dict[str, float | None] = {f"{name}_low": None, f"{name}_high": None}
    if len(values):
        low, high = np.quantile(values, (0.025, 0.975))
        found = {f"{name}_low": float(low), f"{name}_high": float(high)}
    if mean:
        found[name] = float(values.mean()) if len(values) else None
    return found
