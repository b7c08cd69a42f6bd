"""The units that each classifier reads its images in: its space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fexp_store.analyses.analysis import SETS
from fexp_store.analyses.expressions.cross_validation import Fold, Labelling
from fexp_store.analyses.expressions.spaces import Images, Rows, Space, as_bits, as_ids
from fexp_store.analyses.expressions.training import Training, TrainingImages
from fexp_store.analyses.reading.design import check_one_image_per_cell
from fexp_store.analyses.reading.finite import finite_units
from fexp_store.analyses.reading.units import choose_units
from fexp_store.analyses.selectivity.anova import Design
from fexp_store.analyses.selectivity.nested import select_in_folds
from fexp_store.stimuli.sets import read_set
from fexp_store.warehouse import Warehouse
from fexp_store.warehouse.networks import registered
from fexp_store.warehouse.place import Place
from fexp_store.warehouse.runs import Run

_NOBODY = np.empty(0, np.intp)


def choose_spaces(
    wh: Warehouse,
    options: Training,
    run: Run,
    training: TrainingImages,
    images: Images,
    folds: Sequence[Fold],
    labellings: Sequence[Labelling],
    *,
    together: bool = False,
) -> tuple[list[Space], NDArray[np.intp]]:
    """Choose the units of the classifier of each labelling and fold.

    Units that are not finite on one of the sets that the run reads are left out.

    Parameters
    ----------
    images : Images
        Of which the training images come first.
    folds : sequence of Fold
        Of `images`.
    together : bool
        Have each fold's test images compared with one another as well.

    Returns
    -------
    list of Space
    ndarray of shape (n_labellings, n_folds), int
        The number of the space of each.
    """
    chosen = _choose(wh, images.places[0], options, run, training, folds, labellings)
    selected_for_each = run.parameters["selection"] == "nested" and options.units == "selective"
    everything = np.arange(images.count)
    n_taught = len(training.rows)
    # One space serves all folds if units are the same in all, and nothing else is each fold's own.
    shared = chosen.shape[1] == 1 and not options.standardise and not together
    spaces: list[Space] = []
    numbers = np.empty((len(labellings), len(folds)), dtype=np.intp)
    known: dict[tuple[int, int], int] = {}
    for row, labelling in enumerate(labellings):
        for column, fold in enumerate(folds):
            # Labellings share units unless these are selected for each of them.
            of = row if selected_for_each else labelling.draw
            key = (of, 0 if shared else column)
            if key not in known:
                known[key] = len(spaces)
                units = chosen[of, column if chosen.shape[1] > 1 else 0]
                if shared:
                    spaces.append(Space(units, everything[:n_taught], everything[n_taught:]))
                else:
                    scaled_by = fold.train if options.standardise else None
                    taught, shown = fold.train, fold.test
                    if together:
                        taught, shown = np.concatenate([taught, shown]), _NOBODY
                    spaces.append(Space(units, taught, shown, scaled_by))
            numbers[row, column] = known[key]
    return spaces, numbers


def _choose(
    wh: Warehouse,
    place: Place,
    options: Training,
    run: Run,
    training: TrainingImages,
    folds: Sequence[Fold],
    labellings: Sequence[Labelling],
) -> NDArray[np.uint8]:
    """Return units as bits: shape (n_labellings or n_draws, n_folds or 1, n_bytes)."""
    sets = [run.parameters[name] for name in SETS.values() if name in run.parameters]
    n_units = registered(wh, place.network).layer(place.layer).units
    if run.parameters["selection"] != "nested":
        draws = choose_units(wh, place, options, run.parameters, options.draws)
        every = np.unique(np.concatenate(draws))
        finite = as_bits(finite_units(wh, place, sets, every.tolist()), n_units)
        return np.stack([as_bits(units, n_units) for units in draws])[:, None] & finite
    finite = as_bits(finite_units(wh, place, sets, range(n_units)), n_units)
    random = options.units == "random"
    used = [x for x in labellings if not random or x.shuffle == x.draw == 0]
    design, levels, held_out = _design(wh, place, training, folds, used)
    found = select_in_folds(wh, place, design, levels, held_out, options)
    if not random:
        return found.selective & finite
    counts = np.bitwise_count(found.selective[0] & finite).sum(axis=1)
    rng = np.random.default_rng(options.seed)
    varying = [as_ids(bits & finite) for bits in found.varying]
    drawn = [
        [as_bits(rng.choice(units, n, replace=False), n_units) for _ in range(options.draws)]
        for units, n in zip(varying, counts.tolist(), strict=True)
    ]
    return np.array(drawn, dtype=np.uint8).transpose(1, 0, 2)


def _design(
    wh: Warehouse,
    place: Place,
    training: TrainingImages,
    folds: Sequence[Fold],
    labellings: Sequence[Labelling],
) -> tuple[Design, NDArray[np.int8], list[Rows]]:
    """Return the design of the set, its levels as each labelling has them, and who is held out."""
    check_one_image_per_cell(wh, place.stimulus_set)
    stimuli = read_set(wh, place.stimulus_set)
    expressions, identities = (
        np.array(stimuli[name].to_list(), dtype=str) for name in ("expression", "identity")
    )
    names = np.unique(expressions)
    levels = np.tile(np.searchsorted(names, expressions).astype(np.int8), (len(labellings), 1))
    for row, labelling in zip(levels, labellings, strict=True):
        row[training.rows] = np.searchsorted(names, labelling.labels)
    people = np.unique(identities)
    taught = [np.unique(training.identities[fold.train]) for fold in folds]
    return Design.of(stimuli), levels, [np.flatnonzero(~np.isin(people, known)) for known in taught]
