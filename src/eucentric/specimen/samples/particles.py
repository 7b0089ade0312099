"""Specimens of ice with particles or beads in it."""

from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Sample, without_empty
from eucentric.specimen.samples.filling import Slab, Space, gold_beads, one_per_cube
from eucentric.specimen.samples.packing import Packing

APOFERRITIN_CUBE_A = 300.0
RIBOSOME_CUBE_A = 450.0


def beads(slab: Slab) -> Sample:
    """Return bare ice with about 20 gold beads of 100 Å in the field, at both faces."""
    return Sample("beads", Matrix.slab(slab.thickness_A), beads=gold_beads(Packing(slab.half_A), slab, 20))


def apoferritin(slab: Slab) -> Sample:
    """Return apoferritin strewn through the ice, one in a cube of 300 Å."""
    space, packing = Space(slab.half_A), Packing(slab.half_A)
    particles = one_per_cube(packing, "apoferritin", APOFERRITIN_CUBE_A, space, slab.draw("apoferritin"))
    return Sample("apoferritin", Matrix.slab(slab.thickness_A), without_empty([particles]))


def ribosomes(slab: Slab) -> Sample:
    """Return ribosomes strewn through the ice, one in a cube of 450 Å, and about 10 gold beads in the field."""
    space, packing = Space(slab.half_A), Packing(slab.half_A)
    particles = one_per_cube(packing, "ribosome", RIBOSOME_CUBE_A, space, slab.draw("ribosomes"))
    gold = gold_beads(packing, slab, 10)
    return Sample("ribosomes", Matrix.slab(slab.thickness_A), without_empty([particles]), gold)
