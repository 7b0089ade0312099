"""What a specimen file can say: the ice, molecules, membranes, filaments and gold, each a record of its fields.

Places are zyx in Å with the ice lying flat: z along its normal, 0 in its middle, y along the tilt axis. A pre-tilt
turns everything together afterwards. "In the field" means the square field that will be imaged, which is in the
middle; the specimen goes on around it, as dense as there, as far as tilts bring it into view.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from eucentric.core import Angstrom, Degrees, Record

Length = Annotated[float, Field(gt=0, le=20_000, allow_inf_nan=False)]
Coordinate = Annotated[Angstrom, Field(ge=-1e6, le=1e6)]
Zyx = tuple[Coordinate, Coordinate, Coordinate]
Angles = tuple[Degrees, Degrees, Degrees]
Places = Annotated[tuple[Zyx, ...], Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=100_000)]

_NO_LENGTH = 1e-6  # a normal shorter than this has no direction


def _one_of(record: Record, *names: str) -> None:
    """Refuse a record that has not exactly one of these fields."""
    given = [name for name in names if getattr(record, name) is not None]
    if len(given) != 1:
        has = f"it has {' and '.join(given)}" if given else "it has none"
        raise ValueError(f"there should be exactly one of {', '.join(names)}; {has}")


class Ice(Record):
    """The ice and the carbon below it.

    Attributes
    ----------
    thickness_A
        Mean thickness in Å; 0 for none, in which case everything needs places.
    pre_tilt_deg
        Tilt of the stage at which the ice lies flat, in degrees.
    roughness_A
        Height of each face about its mean, rms, in Å; at most a sixth of the thickness.
    roughness_length_A
        Distance over which a face's height is alike, in Å.
    wedge
        How much thicker the ice gets for each Å along x.
    hole_radius_A, hole_centre_yx_A, carbon_A
        Radius and centre of the hole in the carbon film, and its thickness, in Å; no film if absent.
    """

    thickness_A: Annotated[float, Field(ge=0, le=20_000, allow_inf_nan=False)]
    pre_tilt_deg: Annotated[Degrees, Field(ge=-70, le=70)] = 0.0
    roughness_A: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    roughness_length_A: Annotated[float, Field(ge=100, le=1e6, allow_inf_nan=False)] = 800.0
    wedge: Annotated[float, Field(ge=-0.5, le=0.5, allow_inf_nan=False)] = 0.0
    hole_radius_A: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    hole_centre_yx_A: tuple[Coordinate, Coordinate] = (0.0, 0.0)
    carbon_A: Annotated[float, Field(gt=0, le=2000, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        # Two faces of this rms, each on its own, come four standard deviations near each other at 5.7 times it.
        if self.roughness_A > self.thickness_A / 6:
            raise ValueError(f"roughness_A should be at most a sixth of thickness_A, {self.thickness_A / 6:g}")
        if (self.hole_radius_A is None) != (self.carbon_A is None):
            raise ValueError("hole_radius_A and carbon_A belong together: a film of carbon with a hole in it")
        return self


class Molecules(Record):
    """Copies of one molecule; exactly one field says how many or where.

    Attributes
    ----------
    model
        Name of a molecule of the package, or path of an atomic model (.cif, .pdb, .ent, each also .gz) or of a map
        (.mrc, .map), beginning at the folder of the specimen file.
    assembly
        Biological assembly of an atomic model to build, such as 1; the atoms as deposited if absent.
    concentration_per_um3
        How many there are in a µm³ of ice.
    mg_mL
        Their mass to the volume of ice, in mg/mL.
    count
        How many are in the field.
    places_zyx_A
        Where their centres of mass are, in Å.
    rotations_zyx_deg
        How each place's copy is turned, in degrees: the numbers are turns about z, y and x, of which that about x
        comes first and that about z last. Turned at random if absent.
    min_distance_A
        Least distance between centres, in Å, of copies that are strewn; they never overlap anyway.
    label
        What they are called in the truth: the model's name if absent; not listed there if empty.
    threshold
        Of a map: voxels above it are the molecule.
    mass_kDa
        Of a map: the mass of what is above the threshold, in kDa.
    """

    model: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00-\x1f]+$")]
    assembly: str | int | None = None
    concentration_per_um3: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    mg_mL: Annotated[float, Field(gt=0, le=1400, allow_inf_nan=False)] | None = None
    count: Count | None = None
    places_zyx_A: Places | None = None
    rotations_zyx_deg: tuple[Angles, ...] | None = None
    min_distance_A: Length | None = None
    label: Annotated[str, Field(max_length=100)] | None = None
    threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    mass_kDa: Annotated[float, Field(ge=0.1, le=100_000, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _is_placed_in_one_way(self) -> Self:
        _one_of(self, "concentration_per_um3", "mg_mL", "count", "places_zyx_A")
        if self.rotations_zyx_deg is not None and len(self.rotations_zyx_deg) != len(self.places_zyx_A or ()):
            raise ValueError(
                f"there are {len(self.rotations_zyx_deg)} rotations_zyx_deg for {len(self.places_zyx_A or ())} "
                "places_zyx_A; each place should have one, or none at all"
            )
        if self.places_zyx_A is not None and self.min_distance_A is not None:
            raise ValueError("min_distance_A is for what is strewn; places_zyx_A already say where the copies are")
        return self


class Vesicle(Record):
    """Spheres of lipid bilayer; patches of them that would be outside the ice are left out.

    Attributes
    ----------
    radius_A
        To the middle of the bilayer, in Å.
    count, places_zyx_A
        How many are in the field, or where their centres are, in Å: one of the two.
    proteins
        Whether there are "some" on the membrane.
    """

    kind: Literal["vesicle"]
    radius_A: Annotated[float, Field(ge=60, le=10_000, allow_inf_nan=False)]
    count: Annotated[int, Field(ge=1, le=1000)] | None = None
    places_zyx_A: Annotated[Places, Field(max_length=1000)] | None = None
    proteins: Literal["none", "some"] = "none"

    @model_validator(mode="after")
    def _is_placed_in_one_way(self) -> Self:
        _one_of(self, "count", "places_zyx_A")
        return self


class Sheet(Record):
    """A flat lipid bilayer, as far as there is ice.

    Attributes
    ----------
    centre_zyx_A
        Its middle, in Å.
    normal_zyx
        The direction it faces.
    side_A
        Side of the square that it is, in Å; as far as the ice and the view go if absent.
    proteins
        Whether there are "some" on it.
    """

    kind: Literal["sheet"]
    centre_zyx_A: Zyx = (0.0, 0.0, 0.0)
    normal_zyx: Zyx = (0.0, 0.0, 1.0)
    side_A: Annotated[float, Field(ge=30, le=20_000, allow_inf_nan=False)] | None = None
    proteins: Literal["none", "some"] = "none"

    @model_validator(mode="after")
    def _faces_somewhere(self) -> Self:
        if np.linalg.norm(self.normal_zyx) < _NO_LENGTH:
            raise ValueError("normal_zyx should have a length, as its direction is that of the sheet")
        return self


Membrane = Annotated[Vesicle | Sheet, Field(discriminator="kind")]


class _Filament(Record):
    """A helix of monomers, cut where the ice ends; one of `count` and `places_zyx_A` says how many or where.

    Attributes
    ----------
    count
        How many have their middle in the field; there are no others around it.
    places_zyx_A
        Where their middles are, in Å.
    length_A
        Length in Å; three fields if absent.
    heading_deg
        Direction at the middle, from x towards y, in degrees; at random if absent.
    climb_deg
        Angle at which it rises along z, in degrees.
    bend_per_um
        Curvature in the xy plane, in 1/µm, to the left of its heading if positive.
    """

    count: Annotated[int, Field(ge=1, le=1000)] | None = None
    places_zyx_A: Annotated[Places, Field(max_length=1000)] | None = None
    length_A: Annotated[float, Field(ge=50, le=100_000, allow_inf_nan=False)] | None = None
    heading_deg: Degrees | None = None
    climb_deg: Annotated[Degrees, Field(ge=-80, le=80)] = 0.0
    bend_per_um: Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _is_placed_in_one_way(self) -> Self:
        _one_of(self, "count", "places_zyx_A")
        return self


class Actin(_Filament):
    """Filaments of actin."""

    kind: Literal["actin"]


class Microtubule(_Filament):
    """Microtubules of 13 protofilaments."""

    kind: Literal["microtubule"]


Filament = Annotated[Actin | Microtubule, Field(discriminator="kind")]


class Gold(Record):
    """Gold beads.

    Attributes
    ----------
    diameter_A
        Diameter in Å.
    count, places_zyx_A
        How many are in the field, or where their centres are, in Å: one of the two.
    faces
        Where beads that are counted lie: just below the "upper" or the "lower" face of the ice, "both" or "anywhere".
    """

    diameter_A: Annotated[float, Field(ge=5, le=2000, allow_inf_nan=False)] = 100.0
    count: Annotated[int, Field(ge=1, le=10_000)] | None = None
    places_zyx_A: Places | None = None
    faces: Literal["upper", "lower", "both", "anywhere"] = "both"

    @model_validator(mode="after")
    def _is_placed_in_one_way(self) -> Self:
        _one_of(self, "count", "places_zyx_A")
        return self


class SpecimenFile(Record):
    """A specimen as a file describes it.

    Attributes
    ----------
    name
        What it is called; the file's name if absent.
    ice
        The ice, which may have a thickness of 0.
    molecules, membranes, filaments
        What lies in it; molecules that are strewn take the room that all else leaves, in their order.
    gold
        Beads.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    ice: Ice
    molecules: tuple[Molecules, ...] = ()
    membranes: tuple[Membrane, ...] = ()
    filaments: tuple[Filament, ...] = ()
    gold: Gold | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if not (self.ice.thickness_A or self.molecules or self.membranes or self.filaments or self.gold):
            raise ValueError("the specimen is empty: there is nothing in it, and no ice")
        return self


KINDS = {"membranes": ("vesicle", "sheet"), "filaments": ("actin", "microtubule")}
"""The kinds that lists of a file can hold."""
