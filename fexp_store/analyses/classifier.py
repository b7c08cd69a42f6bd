"""Principal components, then a support vector classifier: the study's decoder of expressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.svm import SVC

from fexp_store.errors import BadInput

Values = NDArray[np.floating]
Labels = NDArray[np.str_]
KERNELS = ("linear", "rbf")


@dataclass(frozen=True)
class Classifier:
    """Settings of the classifier. The study does not tell them: each default is our choice.

    Parameters
    ----------
    components : int
        Principal components kept; as many as training images or units where there are fewer.
    kernel : {"linear", "rbf"}
        Of the components x and y: ``gamma <x, y>`` or ``exp(-gamma |x - y|**2)``, where gamma is
        1 / (components * variance of all components), scikit-learn's "scale". So C means the same
        whatever the activations are measured in.
    c : float
        The penalty C of an error.
    """

    components: int = 50
    kernel: str = "linear"
    c: float = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.components < 1 or self.c <= 0:
            raise BadInput("The number of components and C must be greater than 0.")
        if self.kernel not in KERNELS:
            raise BadInput(f"{self.kernel!r} is no kernel known here: use {' or '.join(KERNELS)}.")


@dataclass(frozen=True)
class Similarities:
    """Kernels between images, all that a support vector classifier reads of them.

    Parameters
    ----------
    train : ndarray of shape (n_train, n_train), float64
    test : ndarray of shape (n_test, n_train), float64
    c : float
    """

    train: NDArray[np.float64]
    test: NDArray[np.float64]
    c: float

    def classify(self, labels: Labels) -> Labels:
        """Train on labels of shape (n_train,) and return those of the test images, (n_test,)."""
        machine = SVC(kernel="precomputed", C=self.c)
        answers: Labels = machine.fit(self.train, labels).predict(self.test)
        return answers


def similarities(train: Values, test: Values, settings: Classifier) -> Similarities:
    """Fit principal components to training images and compare all images in their space.

    Labels play no part, so that one call serves the true and any number of shuffled labels. The
    answers are those of scikit-learn's ``make_pipeline(PCA(components), SVC(kernel, C=c,
    gamma="scale"))``, where the linear kernel is ``SVC("poly", degree=1, coef0=0)``.

    Parameters
    ----------
    train : ndarray of shape (n_train, n_units)
        Activations; only these are seen by the principal components.
    test : ndarray of shape (n_test, n_units)
    settings : Classifier

    Raises
    ------
    BadInput
        If the training images do not differ in any unit.
    """
    train, test = train.astype(np.float64), test.astype(np.float64)
    if not np.ptp(train, axis=0).any():
        raise BadInput("These units respond alike to all images; nothing can be classified.")
    components = min(settings.components, *train.shape)
    pca = PCA(components, svd_solver="full").fit(train)
    known, asked = pca.transform(train), pca.transform(test)
    gamma = 1 / (components * known.var())
    if settings.kernel == "linear":
        linear = {"degree": 1, "gamma": gamma, "coef0": 0}
        kernels = [polynomial_kernel(x, known, **linear) for x in (known, asked)]
    else:
        kernels = [rbf_kernel(x, known, gamma) for x in (known, asked)]
    return Similarities(kernels[0], kernels[1], settings.c)
