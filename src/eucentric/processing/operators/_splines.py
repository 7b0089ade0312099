"""The inner step of the spline resampler in LLVM's own terms: four coefficients of a row are one vector.

The sixteen coefficients about a place are four loads, and so are their weights along a row one polynomial of vectors.
"""

from typing import Any

import numba.core.cgutils
from numba.core import types
from numba.extending import intrinsic

cgutils: Any = numba.core.cgutils
ir: Any = cgutils.ir  # llvmlite's, of the version that this numba was made for

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_FOUR, _PLACES = ir.VectorType(_FLOAT, 4), ir.VectorType(ir.IntType(32), 4)
# Weights of the four samples about a place f beyond the second, by power of f.
_CUBIC = (
    (1 / 6, 2 / 3, 1 / 6, 0.0),
    (-0.5, 0.0, 0.5, 0.0),
    (0.5, -1.0, 0.5, 0.0),
    (-1 / 6, 0.5, -0.5, 1 / 6),
)


def _vector(builder: Any, value: Any, place: int = 0) -> Any:
    """Return four times a number, or four times that at a place of a vector."""
    undefined = ir.Constant(_FOUR, ir.Undefined)
    if value.type == _FLOAT:
        value, place = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0)), 0
    return builder.shuffle_vector(value, undefined, ir.Constant(_PLACES, [place] * 4))


def _plus(builder: Any, total: Any, one: Any, other: Any) -> Any:
    """Return ``total + one * other``, fused where the processor can."""
    return builder.fadd(total, builder.fmul(one, other, flags=["fast"]), flags=["fast"])


def _weights(builder: Any, fraction: Any) -> Any:
    f = _vector(builder, fraction)
    total = ir.Constant(_FOUR, list(_CUBIC[3]))
    for powers in reversed(_CUBIC[:3]):
        total = _plus(builder, ir.Constant(_FOUR, list(powers)), total, f)
    return total


def _spline_at(_: Any, coefficients: Any, first: Any, stride: Any, y: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place, stride = arguments[1:3]
        down, across = (_weights(builder, fraction) for fraction in arguments[3:5])
        total = ir.Constant(_FOUR, [0.0] * 4)
        for row in range(4):
            line = builder.load(builder.bitcast(builder.gep(data, [place]), _FOUR.as_pointer()), align=4)
            total = _plus(builder, total, _vector(builder, down, row), line)
            place = builder.add(place, stride)
        total = builder.fmul(total, across, flags=["fast"])
        parts = [builder.extract_element(total, ir.Constant(ir.IntType(32), i)) for i in range(4)]
        pairs = [builder.fadd(parts[i], parts[i + 2], flags=["fast"]) for i in (0, 1)]
        return builder.fadd(*pairs, flags=["fast"])

    return types.float32(coefficients, types.int64, types.int64, types.float32, types.float32), generate


_intrinsic: Any = intrinsic

spline_at: Any = _intrinsic(_spline_at)
"""Inside a compiled function, ``spline_at(coefficients, first, stride, y, x)``: the spline at a place.

The place lies `y` and `x` (float32, 0 to 1) beyond the second row and column of the sixteen coefficients that begin at
the number `first` of a contiguous float32 array, whose rows are `stride` numbers apart.
"""
