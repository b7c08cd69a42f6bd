"""Principal components, then a support vector classifier: the study's decoder of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from fexp_store.errors import BadInput
from fexp_store.options import record

Values = NDArray[np.floating]
Labels = NDArray[np.str_]


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
    """

    train: NDArray[np.float64]
    test: NDArray[np.float64]
    C: float

    def classify(self, labels: Labels) -> Labels:
        """Train on labels of shape (n_train,) and return those of the test images, (n_test,)."""
        from sklearn.svm import SVC

        machine = SVC(kernel="precomputed", C=self.C)
        answers: Labels = machine.fit(self.train, labels).predict(self.test)
        return answers


def similarities(train: Values, test: Values, settings: Classifier) -> Similarities:
    """Fit principal components to training images and compare all images in their space.

    Labels play no part, so that one call serves the true and any number of shuffled labels. The
    answers are those of scikit-learn's ``make_pipeline(PCA(components), SVC(kernel, C,
    gamma="scale"))``, where the linear kernel is ``SVC("poly", degree=1, coef0=0)``; standardised,
    a ``StandardScaler()`` comes first.

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
    # scikit-learn takes a second to import, and most commands need none of it.
    from sklearn.decomposition import PCA
    from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
    from sklearn.preprocessing import StandardScaler

    train, test = train.astype(np.float64), test.astype(np.float64)
    if not np.ptp(train, axis=0).any():
        raise BadInput("These units respond alike to all images; nothing can be classified.")
    if settings.standardise:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    components = min(settings.components, *train.shape)
    pca = PCA(components, svd_solver="full").fit(train)
    known, asked = pca.transform(train), pca.transform(test)
    gamma = 1 / (components * known.var())
    if settings.kernel == "linear":
        linear = {"degree": 1, "gamma": gamma, "coef0": 0}
        kernels = [polynomial_kernel(x, known, **linear) for x in (known, asked)]
    else:
        kernels = [rbf_kernel(x, known, gamma) for x in (known, asked)]
    return Similarities(kernels[0], kernels[1], settings.C)
