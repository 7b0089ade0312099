"""Two inner loops in LLVM's own terms, for numba to place in a kernel: a strip's rows are one vector.

Numba would reload and store the sums at every step, and test again and again whether arrays overlap; here the sums
stay in registers while all the rays through a place are added, or its value while it is spread over all its rays.
LLVM splits a vector into as many registers as the processor needs.
"""

from collections.abc import Callable
from typing import Any

import numba.core.cgutils
from numba.core import types
from numba.extending import intrinsic

cgutils: Any = numba.core.cgutils
ir: Any = cgutils.ir  # llvmlite's, of the version that this numba was made for

ROWS = 32  # of a strip, and float32 of a vector: four 256-bit registers of sums, which leaves room for their factors

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, ROWS)


def _all_rows(builder: Any, value: Any) -> Any:
    """Return a vector that holds `value` at every row."""
    undefined, places = ir.Constant(_VECTOR, ir.Undefined), ir.VectorType(ir.IntType(32), ROWS)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(places, [0] * ROWS))


def _vector_at(builder: Any, data: Any, place: Any) -> Any:
    """Return the address of the vector that begins with the number at `place` of an array."""
    return builder.bitcast(builder.gep(data, [place]), _VECTOR.as_pointer())


def _over_rays(context: Any, builder: Any, signature: Any, arguments: Any, step: Callable[..., None]) -> None:
    """Call `step` with the factors and addresses of both columns that each ray through place `x` lies between."""
    rays, columns, shares = (
        context.make_array(kind)(context, builder, argument).data
        for kind, argument in zip(signature.args[:3], arguments[:3], strict=True)
    )
    x, stride, n = arguments[3:6]
    with cgutils.for_range(builder, n) as loop:
        entry = builder.add(builder.mul(loop.index, stride), x)
        first = builder.sext(builder.load(builder.gep(columns, [entry])), _INDEX)
        share = builder.load(builder.gep(shares, [entry]))
        rest = builder.fsub(ir.Constant(_FLOAT, 1.0), share)
        second = builder.add(first, ir.Constant(_INDEX, ROWS))
        step(
            (_all_rows(builder, rest), _vector_at(builder, rays, first)),
            (_all_rows(builder, share), _vector_at(builder, rays, second)),
        )


def _added(builder: Any, total: Any, factor: Any, vector: Any) -> Any:
    """Return ``total + factor * vector``, fused where the processor can."""
    return builder.fadd(total, builder.fmul(factor, vector, flags=["fast"]), flags=["fast"])


def _line(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Return the address of the vector of place `x` in the line of voxels."""
    data = context.make_array(signature.args[6])(context, builder, arguments[6]).data
    return _vector_at(builder, data, builder.mul(arguments[3], ir.Constant(_INDEX, ROWS)))


def _add_rays(_: Any, rays: Any, columns: Any, shares: Any, x: Any, stride: Any, n: Any, line: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total = cgutils.alloca_once(builder, _VECTOR)
        builder.store(ir.Constant(_VECTOR, [0.0] * ROWS), total)

        def step(*sides: tuple[Any, Any]) -> None:
            for factor, address in sides:
                ray = builder.load(address, align=4)
                builder.store(_added(builder, builder.load(total), factor, ray), total)

        _over_rays(context, builder, signature, arguments, step)
        builder.store(builder.load(total), _line(context, builder, signature, arguments), align=4)
        return context.get_dummy_value()

    return types.void(rays, columns, shares, types.int64, types.int64, types.int64, line), generate


def _spread_line(_: Any, line: Any, wide: Any, columns: Any, shares: Any, at: Any, rays: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line, columns, shares, rays = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2, 3, 5)
        )
        begin = builder.mul(arguments[4], builder.extract_value(columns.shape, 1))
        rows = ir.Constant(_INDEX, ROWS)

        def number(array: Any, x: Any) -> Any:
            return builder.load(builder.gep(array.data, [builder.add(begin, x)]))

        def vector(first: Any) -> Any:
            return builder.load(_vector_at(builder, rays.data, first), align=4)

        def keep(value: Any, first: Any) -> None:
            builder.store(value, _vector_at(builder, rays.data, first), align=4)

        # The two columns that sums go to stay in registers until the line has moved on from them.
        place = cgutils.alloca_once_value(builder, builder.sext(number(columns, ir.Constant(_INDEX, 0)), _INDEX))
        below = cgutils.alloca_once_value(builder, vector(builder.load(place)))
        above = cgutils.alloca_once_value(builder, vector(builder.add(builder.load(place), rows)))
        with cgutils.for_range(builder, arguments[1]) as loop:
            first, last = builder.sext(number(columns, loop.index), _INDEX), builder.load(place)
            with builder.if_then(builder.icmp_signed("!=", first, last)):
                following = builder.add(last, rows)
                keep(builder.load(below), last)
                with builder.if_else(builder.icmp_signed("==", first, following)) as (one_on, elsewhere):
                    with one_on:
                        builder.store(builder.load(above), below)
                    with elsewhere:
                        keep(builder.load(above), following)
                        builder.store(vector(first), below)
                builder.store(vector(builder.add(first, rows)), above)
                builder.store(first, place)
            share = number(shares, loop.index)
            rest = builder.fsub(ir.Constant(_FLOAT, 1.0), share)
            value = builder.load(_vector_at(builder, line.data, builder.mul(loop.index, rows)), align=4)
            for total, factor in ((below, rest), (above, share)):
                builder.store(_added(builder, builder.load(total), _all_rows(builder, factor), value), total)
        keep(builder.load(below), builder.load(place))
        keep(builder.load(above), builder.add(builder.load(place), rows))
        return context.get_dummy_value()

    return types.void(line, types.int64, columns, shares, types.int64, rays), generate


_intrinsic: Any = intrinsic

add_rays: Any = _intrinsic(_add_rays)
"""Inside a compiled function, ``add_rays(rays, columns, shares, x, stride, n, line)``.

Sets row x of `line` (x, ROWS) to the sum over n rays of ``(1 - share)`` times the vector of `rays` that begins at the
number ``columns[i, x]`` of that contiguous array and ``share`` times the one after it; `columns` int32 and `shares`
float32 are (n, stride).
"""

spread_line: Any = _intrinsic(_spread_line)
"""Its adjoint, one view at a time: ``spread_line(line, wide, columns, shares, at, rays)``.

Adds the first `wide` rows of `line` (x, ROWS) to the rays of the view at row `at` of `columns` and `shares`.
"""
