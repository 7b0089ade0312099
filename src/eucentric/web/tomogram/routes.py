"""What the tomogram page fetches: slices as images, volumes, values and tilts as JSON."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse

from eucentric.core import EucentricError, FormatError, InputError, Record
from eucentric.web.served import NotServedError
from eucentric.web.tomogram.kept import Kept
from eucentric.web.tomogram.series import find_versions, has_stack, tilt_views, volume_path
from eucentric.web.tomogram.slices import (
    AXES,
    LARGEST_PX,
    MOST_AVERAGED,
    Cutter,
    Format,
    Limits,
    encode,
    grey,
    robust_limits,
)
from eucentric.web.volumes import ChangedError, Volume, Volumes

_IMAGES_BYTES = 64 << 20
_LONGEST_INDEX = 1 << 20

Finite = Annotated[float, Field(allow_inf_nan=False)]
Average = Annotated[int, Field(ge=1, le=MOST_AVERAGED)]
Index = Annotated[int, Field(ge=0, le=_LONGEST_INDEX)]


class SliceAsked(Record):
    """A slice that a page asks for.

    Its black and white points are `low` and `high`, those of the slice where it is to have its `own`, or else those of
    its volume. A page that gives the `stamp` of the volume that it knows is told where that has changed.
    """

    axis: Literal["z", "y", "x"]
    index: Index | Literal["middle"]
    low: Finite | None = None
    high: Finite | None = None
    own: bool = False
    average: Average = 1
    largest: Annotated[int, Field(ge=16, le=LARGEST_PX)] = LARGEST_PX
    format: Format = "jpeg"
    stamp: Annotated[str, Field(max_length=80)] | None = None


class VolumeAsked(Record):
    """A volume that a page asks about: its limits are those of slices averaged so."""

    average: Average = 1


class PlaceAsked(Record):
    """A voxel whose value a page asks for."""

    z: Index
    y: Index
    x: Index


class Slices:
    """Answers from the volumes of one session, each opened once and looked at anew where it changed."""

    def __init__(self, session: Path) -> None:
        self._session = session
        self._volumes = Volumes()
        self._cutter = Cutter()
        self._images: Kept[bytes] = Kept(_IMAGES_BYTES, len)
        self._limits: Kept[Limits] = Kept(512, lambda _: 1)

    def series(self, request: Request) -> Response:
        """Tell which versions and stack a series has."""
        name = request.path_params["series"]
        versions = [version.model_dump() for version in find_versions(self._session, name)]
        return _json({"series": name, "versions": versions, "stack": has_stack(self._session, name)})

    def tilts(self, request: Request) -> Response:
        """Tell how each section of a series' stack was recorded and is laid upright."""
        return _json([view.model_dump() for view in tilt_views(self._session, request.path_params["series"])])

    def volume(self, request: Request) -> Response:
        """Tell a volume's size and limits."""
        asked = VolumeAsked.model_validate(dict(request.query_params))
        volume = self._open(request)
        limits = self._limits_of(volume, asked.average)
        return _json(
            {
                "stamp": volume.stamp,
                "shape_zyx": volume.shape_zyx,
                "voxel_zyx_A": volume.voxel_zyx_A,
                "first_zyx_A": volume.first_zyx_A,
                "binned": volume.binned,
                "low": limits.low,
                "high": limits.high,
            }
        )

    def value(self, request: Request) -> Response:
        """Tell the value of a voxel; none where it is no number."""
        place = PlaceAsked.model_validate({axis: request.path_params[axis] for axis in AXES})
        value = self._cutter.value(self._open(request), (place.z, place.y, place.x))
        return _json({"value": value if math.isfinite(value) else None})

    def slice(self, request: Request) -> Response:
        """Send a slice as an image, which a browser may keep if it knows which content it asked for."""
        path = request.path_params
        asked = SliceAsked.model_validate({**dict(request.query_params), "axis": path["axis"], "index": path["index"]})
        volume = self._open(request)
        if asked.stamp not in (None, volume.stamp):
            raise ChangedError(f"{volume.path.name} was written anew.", "Ask what it is now.")
        fields = asked.model_dump(exclude={"stamp"}).values()
        etag = f'"{volume.stamp}-{"-".join(map(str, fields))}"'
        headers = {
            "etag": etag,
            "cache-control": f"private, {'max-age=86400, immutable' if asked.stamp else 'no-cache'}",
        }
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        image = self._images.get((volume.path, etag), lambda: self._image(volume, asked))
        return Response(image, media_type=f"image/{asked.format}", headers=headers)

    def _open(self, request: Request) -> Volume:
        name = request.path_params["volume"]
        return self._volumes.open(volume_path(self._session, request.path_params["series"], name))

    def _image(self, volume: Volume, asked: SliceAsked) -> bytes:
        axis = AXES[asked.axis]
        index = volume.shape_zyx[axis] // 2 if asked.index == "middle" else asked.index
        cut = self._cutter.cut(volume, axis, index, asked.average)
        limits = robust_limits([cut]) if asked.own else self._asked_limits(asked, volume)
        return encode(grey(cut, limits), asked.format, asked.largest)

    def _asked_limits(self, asked: SliceAsked, volume: Volume) -> Limits:
        if asked.low is None and asked.high is None:
            return self._limits_of(volume, asked.average)
        if asked.low is None or asked.high is None or not asked.low < asked.high:
            raise InputError("The black point must lie below the white point.", "Give both, low and high.")
        return Limits(low=asked.low, high=asked.high)

    def _limits_of(self, volume: Volume, average: int) -> Limits:
        key = (volume.path, volume.stamp, average)
        return self._limits.get(key, lambda: self._cutter.limits(volume, average))


def add_routes(on: FastAPI, session: Path) -> None:
    """Answer under ``/api`` about the volumes of a session."""
    slices = Slices(session)
    answers: dict[str, Callable[[Request], Response]] = {
        "/api/volumes/{series}": slices.series,
        "/api/tilts/{series}": slices.tilts,
        "/api/volume/{series}/{volume}": slices.volume,
        "/api/value/{series}/{volume}/{z}/{y}/{x}": slices.value,
        "/api/slice/{series}/{volume}/{axis}/{index}": slices.slice,
    }
    for path, answer in answers.items():
        on.add_api_route(path, _told(answer), response_model=None)


def _told(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Answer, or say in a sentence why not."""

    def told(request: Request) -> Response:
        try:
            return answer(request)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "The address"
            return _refused(400, InputError(f"{where}: {first['msg']}."))
        except NotServedError as error:
            return _refused(404, error)
        except ChangedError as error:
            return _refused(409, error)
        except FormatError as error:  # half-written, perhaps
            return _refused(422, error)
        except EucentricError as error:
            return _refused(400, error)

    return told


def _json(body: Any) -> Response:
    return JSONResponse(body, headers={"cache-control": "no-store"})


def _refused(status: int, error: EucentricError) -> Response:
    return JSONResponse({"what": error.what, "fix": error.fix}, status_code=status)
