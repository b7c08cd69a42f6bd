"""Principal components, then a support vector classifier: the study's decoder of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from fexp_store.analyses.expressions.spaces import Products, Rows
from fexp_store.errors import BadInput
from fexp_store.options import record

Values = NDArray[np.floating]
Labels = NDArray[np.str_]

_ROUNDING = 1e-12
"""A component with less than this share of the largest one's variance is rounding."""


@record
class Classifier:
    """Settings of the classifier. The study does not tell them: each default is our choice.

    The linear kernel of the components x and y is ``gamma <x, y>``, rbf ``exp(-gamma |x - y|**2)``,
    where gamma is 1 / (components * variance of all components), scikit-learn's "scale". So C means
    the same whatever the activations are measured in.
    """

    standardise: Annotated[
        bool,
        Meta(description="Give each unit mean 0 and SD 1 over the training images; our choice."),
    ] = False
    components: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Principal components, as many as training images or units where there are "
            "fewer; our choice.",
        ),
    ] = 50
    kernel: Annotated[Literal["linear", "rbf"], Meta(description="Kernel; our choice.")] = "linear"
    C: Annotated[float, Meta(gt=0, le=1e6, description="Penalty of errors; our choice.")] = 1.0


@dataclass(frozen=True)
class Similarities:
    """Kernels between images, all that a support vector classifier reads of them.

    Parameters
    ----------
    train : ndarray of shape (n_train, n_train), float64
    test : ndarray of shape (n_test, n_train), float64
    C : float
    components : int
        Principal components that there are.
    """

    train: NDArray[np.float64]
    test: NDArray[np.float64]
    C: float
    components: int

    def classify(self, labels: Labels) -> Labels:
        """Train on labels of shape (n_train,) and return those of the test images, (n_test,)."""
        from sklearn.svm import SVC

        machine = SVC(kernel="precomputed", C=self.C)
        answers: Labels = machine.fit(self.train, labels).predict(self.test)
        return answers


def similarities(products: Products, train: Rows, test: Rows, settings: Classifier) -> Similarities:
    """Fit principal components to training images and compare all images in their space.

    Labels play no part, so that one call serves the true and any number of shuffled labels. The
    answers are those of scikit-learn's ``make_pipeline(PCA(components), SVC(kernel, C,
    gamma="scale"))``, where the linear kernel is ``SVC("poly", degree=1, coef0=0)``. The components
    are found from inner products of images rather than from units (kernel principal components of
    the linear kernel, which are the same), so that thousands of choices of units cost little.

    Parameters
    ----------
    products : Products
        Of the images, over the units that are used.
    train : ndarray of shape (n_train,), int
        Training images; only these are seen by the principal components.
    test : ndarray of shape (n_test,), int
        Images or others.
    settings : Classifier

    Raises
    ------
    BadInput
        If the training images do not differ in any unit.

    References
    ----------
    Schölkopf, Smola & Müller 1998, Neural Computation 10:1299-1319.
    """
    from scipy.linalg import eigh
    from sklearn.metrics.pairwise import rbf_kernel

    taught, asked = products.between(train, train), products.between(test, train)
    size = taught.diagonal().max(initial=0)
    means = taught.mean(axis=0)
    asked = asked - asked.mean(axis=1, keepdims=True) - means + means.mean()
    taught = taught - means[:, None] - means + means.mean()
    if not np.trace(taught) > _ROUNDING * size * len(train):
        raise BadInput("These units respond alike to all images; nothing can be classified.")
    n = len(train)
    components = min(settings.components, n)
    variances, axes = eigh(taught, subset_by_index=(n - components, n - 1), check_finite=False)
    there = variances > _ROUNDING * variances[-1]
    variances, axes = variances[there], axes[:, there]
    components = len(variances)
    known, asked = axes * np.sqrt(variances), asked @ (axes / np.sqrt(variances))
    gamma = n / variances.sum()  # 1 / (components * variance of all components)
    if settings.kernel == "linear":
        return Similarities(
            gamma * known @ known.T, gamma * asked @ known.T, settings.C, components
        )
    kernels = [rbf_kernel(x, known, gamma) for x in (known, asked)]
    return Similarities(kernels[0], kernels[1], settings.C, components)
