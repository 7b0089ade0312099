"""Local motion: one smooth field over the specimen and its exposure, from how pieces of views miss their predictions.

A piece of one view says next to nothing, but all pieces of all views speak of the same few numbers. What they say is
kept as the slope and curvature of their correlation with what is predicted (`pieces`); the numbers are those with the
highest correlation in all, held to what specimens are known to do. They are accepted if the field that one half of
the pieces (a chessboard) gives foretells the other half, and better so than with exposures of another order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, LocalMotion
from eucentric.core.local_motion import powers, spatial_basis, temporal_basis
from eucentric.processing.alignment.pieces import Pieces

Array = NDArray[np.float64]

DEGREE = 2
_DECAY_e_A2 = 20.0  # movement is most of it over within tens of e/Å²; one law for all, since data tell little of it
USUAL_A = (30.0, 15.0)  # movement at the field's border by degree: tens of Å in all (10.1016/j.yjsbx.2022.100068)
_SHAPE_A = 60.0  # height of a still specimen at the border, off the slab: a tilt of 1.3° in a field of half a µm
_STEP = 1.5  # of the change that a fit asks for: views hold together more than a slab of even density would have it
# Errors of pieces are those of their neighbours too: variance of their sum over that of strangers (15 to 190 measured).
_ALIKE = 30.0
_SURE = 1.0  # log likelihood by which held-out pieces must gain more than with exposures of another order
_APART = 3  # views, at least, by which exposures are put off to see what they tell where they cannot


def motionless(alignment: Alignment, exposures_e_A2: Array) -> LocalMotion:
    """Return the motion, of the kind that is looked for, of a specimen that does not move."""
    return LocalMotion(
        degree=DEGREE,
        radius_A=0.5 * min(alignment.shape_yx) * alignment.pixel_A,
        decays_e_A2=(_DECAY_e_A2,),
        exposures_e_A2=tuple(float(one) for one in exposures_e_A2),
        coefficients_A=(((0.0,),) * len(powers(DEGREE)),) * 3,
    )


def fit_local(
    pieces: Pieces, alignment: Alignment, exposures_e_A2: Array, views: NDArray[np.int_], pixel_A: float
) -> LocalMotion | None:
    """Return the local motion that moves pieces to where they agree best with what is predicted.

    Parameters
    ----------
    pieces
        Of `views`, in pixels of `pixel_A`, of images from which the alignment's local motion was taken out.
    alignment
        How the views see the specimen. Without local motion, one is looked for, and None returned if held-out pieces
        do not gain by it; with it, that is improved.
    exposures_e_A2
        In the middle of each view, by section.
    views
        Sections that the pieces are of.
    pixel_A
        Pixel size of the level.
    """
    motion = alignment.local or motionless(alignment, exposures_e_A2)
    field = _Field.of(pieces, alignment, motion, views, pixel_A)
    if alignment.local is None and foretold(field) <= _SURE:
        return None
    begun = np.array(motion.coefficients_A)
    change = field.solve(np.ones(len(pieces.black), dtype=bool), field.time, begun.ravel())[: begun.size]
    new = begun + _STEP * change.reshape(begun.shape)
    return motion.replace(coefficients_A=tuple(tuple(tuple(float(c) for c in power) for power in axis) for axis in new))


@dataclass(frozen=True)
class _Field:
    """What pieces say of the numbers of a field: of its motion along z, y and x, and of the specimen's still shape.

    `basis` (n, P, powers) is the polynomial at each piece's place; `time` (n,) how far motion has come at each view;
    `tilts_rad` (n,); `prior` (4 x powers,) the precision of each number before any data, 1/Å².

    The shape is the height of places above the slab's middle at all exposures. It is not looked for, but a specimen
    that lies a little tilted or bent in the slab looks much as if it moved.
    """

    pieces: Pieces
    basis: Array
    time: Array
    tilts_rad: Array
    pixel_A: float
    prior: Array

    @classmethod
    def of(
        cls, pieces: Pieces, alignment: Alignment, motion: LocalMotion, views: NDArray[np.int_], pixel_A: float
    ) -> "_Field":
        tilts_rad = np.deg2rad([alignment.tilts[section].tilt_deg for section in views])
        along, across = pieces.places_vu.T * pixel_A
        basis = [
            spatial_basis(np.stack([along, across / cos], axis=1) / motion.radius_A, motion.degree)
            for cos in _cosines(tilts_rad)
        ]
        time = temporal_basis(motion.exposures_e_A2, motion.decays_e_A2)[views, 0]
        usual_A = np.array([USUAL_A[sum(power) - 1] for power in powers(motion.degree)])
        prior = np.concatenate([np.tile(usual_A, 3), np.full(len(usual_A), _SHAPE_A)]) ** -2.0
        return cls(pieces, np.array(basis), time, tilts_rad, pixel_A, prior)

    def equations(self, which: NDArray[np.bool_], time: Array) -> tuple[Array, Array]:
        """Return what the pieces `which` tell of the numbers: the normal matrix, 1/Å², and the right side, 1/Å.

        Views that predict each other move each other's predictions: what they tell is how they move apart. What all
        pieces of a view have in common is its shift's.
        """
        n, cos = len(time), _cosines(self.tilts_rad)
        share, slope, all_of_them = self.pieces.share[which], self.pieces.slope[:, which], self.basis[:, which]
        basis = all_of_them - np.einsum("p,npk->nk", share / share.sum(), all_of_them)[:, None]
        tan, none = np.sin(self.tilts_rad) / cos, np.zeros(n)
        # How far each view shows motion along z, y and x, and the shape, along the axis and across it as if not tilted.
        seen = (
            np.stack([none, time, none, none], axis=1),
            np.stack([tan * time, none, time, tan], axis=1),
        )
        products = np.einsum("p,npk,npl->nkl", share, basis, basis)
        size = 4 * basis.shape[2]
        normal, right = np.zeros((size, size)), np.zeros(size)
        for direction, (shown, scale) in enumerate(zip(seen, (np.ones(n), cos), strict=True)):
            bond = self.pieces.bonds[direction] * (scale**2)[:, None]
            bond = 0.5 * (bond + bond.T)
            apart = shown[:, None] - shown[None]
            each = 0.5 * np.einsum("ij,ija,ijb->iab", bond, apart, apart)
            normal += np.einsum("iab,ikl->akbl", each, products).reshape(size, size)
            pulls = np.einsum("npk,np->nk", basis, slope[:, :, direction]) * scale[:, None]
            right += np.einsum("na,nk->ak", shown, pulls).ravel()
        variance = _ALIKE * self.pieces.noise
        return normal / (variance * self.pixel_A**2), right / (variance * self.pixel_A)

    def solve(self, which: NDArray[np.bool_], time: Array, begun: Array) -> Array:
        """Return the change in Å that pieces ask for, of motion that is at `begun` and of the shape."""
        normal, right = self.equations(which, time)
        right[: len(begun)] -= self.prior[: len(begun)] * begun
        return np.asarray(np.linalg.solve(normal + np.diag(self.prior), right), dtype=float)


def foretold(field: _Field) -> float:
    """Return by how much held-out pieces gain more than with exposures of another order, in units of log likelihood.

    Pieces next to each other err alike, so that also where nothing moves the field of one half may suit the other. But
    where something moves it moves with the exposure: other orders of the same exposures, put off along the tilts in a
    circle, tell how much there is to gain without. Their median is taken off.
    """
    order = np.argsort(field.tilts_rad, kind="stable")
    others = []
    for by in range(_APART, len(order) - _APART + 1):
        time = np.empty_like(field.time)
        time[order] = np.roll(field.time[order], by)
        others.append(_held_out_gain(field, time))
    return _held_out_gain(field, field.time) - float(np.median(others)) if others else 0.0


def _held_out_gain(field: _Field, time: Array) -> float:
    gain = 0.0
    for half in (field.pieces.black, ~field.pieces.black):
        found = field.solve(half, time, np.zeros(0))
        normal, right = field.equations(~half, time)
        gain += float(right @ found - 0.5 * found @ normal @ found)
    return gain


def _cosines(tilts_rad: Array) -> Array:
    """Return cosines; nearly edge-on, the field is taken to be no wider than 20 times what is seen."""
    return np.maximum(np.cos(tilts_rad), 0.05)
