"""Linear scores compiled by numba, with the bits of `_exact.linear_scores`.

32 vectors go through together, one a lane, so that no lane has to be added to another. Their codes are turned and
widened to int16 once, for all classes. Each step multiplies pairs of int16 and adds them in int32, exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import require

from ._kernels import extending, ir, load, numba, spread, types

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

registry: Any = require("numba.core.registry", extra="heads", purpose="fast predictions")

ROWS = 32
"""Vectors of a block."""
MOST_TOGETHER = 4
"""Classes whose sums are held in registers at once."""
_LANES, _HALVES = 16, 2
_AHEAD = 1
"""Blocks that are fetched from memory before their turn. Without, a processor waits for most of them: 32 rows at once
are no pattern that it foresees."""
FEATURES = frozenset(registry.cpu_target.target_context.codegen().magic_tuple()[2].split(","))
"""Instructions that numba compiles for, such as "+avx2"."""
_int8, _int16, _int32, _int64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_float64 = ir.DoubleType()
_lanes, _pairs = ir.VectorType(_int32, _LANES), ir.VectorType(_int16, 2 * _LANES)


def _store(b: Any, value: Any, address: Any) -> None:
    b.store(value, b.inttoptr(address, value.type.as_pointer())).align = 1


def _mix(b: Any, pair: Sequence[Any], places: Sequence[int]) -> Any:
    one, other = pair
    return b.shuffle_vector(one, other, ir.Constant(ir.VectorType(_int32, len(places)), list(places)))


def _times(b: Any, count: Any, body: Callable[[Any], None]) -> None:
    """Code that does `body` for 0 to `count` - 1."""
    entry, loop, inner, done = b.block, *(b.append_basic_block() for _ in range(3))
    b.branch(loop)
    b.position_at_end(loop)
    index = b.phi(_int64)
    index.add_incoming(_int64(0), entry)
    b.cbranch(b.icmp_signed("<", index, count), inner, done)
    b.position_at_end(inner)
    body(index)
    index.add_incoming(b.add(index, _int64(1)), b.block)
    b.branch(loop)
    b.position_at_end(done)


def _widen(b: Any, four: Any, address: Any) -> None:
    """Store the codes of a lane as two pairs of int16: first and third, second and fourth."""
    eight = ir.Constant(_pairs, [8] * 2 * _LANES)
    words = b.bitcast(four, _pairs)
    _store(b, b.ashr(b.shl(words, eight), eight), address)
    _store(b, b.ashr(words, eight), b.add(address, _int64(4 * ROWS)))


def _two_rows(first: int) -> list[int]:
    """In each quarter, codes `first` and the next of one row and of another, in turns."""
    return [4 * quarter + code + other for quarter in range(4) for code in (first, first + 1) for other in (0, 16)]


def _four_rows(first: int) -> list[int]:
    """In each quarter, what two registers hold at `first` and the next place."""
    return [4 * quarter + place + other for quarter in range(4) for other in (0, 16) for place in (first, first + 1)]


@extending.intrinsic  # type: ignore[untyped-decorator]
def _turn(_context: Any, _x: Any, _width: Any, _out: Any) -> Any:
    """The codes of 32 vectors at an address, `width` bytes apart and long, as (width / 4, 2, 32) pairs of int16."""

    def code(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        x, width, out = arguments
        row, place = ir.VectorType(_int32, 4), _int8.as_pointer()
        fetched = ir.FunctionType(ir.VoidType(), [place, _int32, _int32, _int32])
        fetch = b.module.declare_intrinsic("llvm.prefetch", (place,), fetched)

        def sixteen(piece: Any) -> None:
            ahead = b.add(b.add(x, b.mul(width, _int64(_AHEAD * ROWS))), b.mul(piece, _int64(16 * ROWS)))
            for line in range(0, 16 * ROWS, 64):
                where = b.inttoptr(b.add(ahead, _int64(line)), place)
                b.call(fetch, [where, _int32(0), _int32(3), _int32(1)])
            at, to = b.add(x, b.mul(piece, _int64(16))), b.add(out, b.mul(piece, _int64(4 * 8 * ROWS)))
            for half in range(_HALVES):
                # of each of four rows, 16 codes a quarter of the register; then 4 x 4 are turned in each quarter
                own = []
                for first in range(4):
                    places = [16 * half + 4 * quarter + first for quarter in range(4)]
                    rows = [load(b, b.add(at, b.mul(width, _int64(r))), row) for r in places]
                    own.append(_mix(b, [_mix(b, rows[:2], range(8)), _mix(b, rows[2:], range(8))], range(16)))
                for quad in range(4):
                    pairs = [_mix(b, own[k : k + 2], _two_rows(quad // 2 * 2)) for k in (0, 2)]
                    lanes = _mix(b, pairs, _four_rows(quad % 2 * 2))
                    _widen(b, lanes, b.add(to, _int64(quad * 8 * ROWS + half * 4 * _LANES)))

        def four(quad: Any) -> None:
            at, to = b.add(x, b.mul(quad, _int64(4))), b.add(out, b.mul(quad, _int64(8 * ROWS)))
            for half in range(_HALVES):
                lanes: Any = ir.Constant(_lanes, ir.Undefined)
                for r in range(_LANES):
                    own = load(b, b.add(at, b.mul(width, _int64(_LANES * half + r))), _int32)
                    lanes = b.insert_element(lanes, own, _int32(r))
                _widen(b, lanes, b.add(to, _int64(half * 4 * _LANES)))

        pieces = b.sdiv(width, _int64(16))
        _times(b, pieces, sixteen)
        done = b.mul(pieces, _int64(4))
        _times(b, b.sub(b.sdiv(width, _int64(4)), done), lambda quad: four(b.add(done, quad)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), code


def _multiply(b: Any, total: Any, codes: Any, weights: Any) -> Any:
    """total + the products of two pairs a lane."""
    words = b.bitcast(weights, _pairs)
    if "+avx512bw" in FEATURES:
        whole = ir.FunctionType(_lanes, [_pairs, _pairs])
        made = b.module.declare_intrinsic("llvm.x86.avx512.pmaddw.d.512", (), whole)
        return b.add(total, b.call(made, [codes, words]))
    if "+avx2" in FEATURES:
        few = ir.FunctionType(ir.VectorType(_int32, 8), [ir.VectorType(_int16, 16)] * 2)
        made = b.module.declare_intrinsic("llvm.x86.avx2.pmadd.wd", (), few)
        sides = [[_mix(b, [part] * 2, range(begin, begin + 16)) for part in (codes, words)] for begin in (0, 16)]
        return b.add(total, _mix(b, [b.call(made, side) for side in sides], range(_LANES)))
    for begin in range(2):
        one, other = (_mix(b, [part] * 2, range(begin, 2 * _LANES, 2)) for part in (codes, words))
        total = b.add(total, b.mul(b.sext(one, _lanes), b.sext(other, _lanes)))
    return total


def _adder(together: int) -> Any:
    """The scores of 32 vectors and some classes: those before + a part's t x (step x dot).

    All are addresses or counts: turned codes; quads; weights (quads, 2) pairs of int16, `stride` bytes from one class
    to the next; t (32,) float64; step, a float64 `far` bytes from one class to the next; scores before, and scores,
    (classes, 32) float64.
    """

    def add(
        _context: Any,
        _x: Any,
        _quads: Any,
        _w: Any,
        _stride: Any,
        _t: Any,
        _step: Any,
        _far: Any,
        _before: Any,
        _to: Any,
    ) -> Any:
        def code(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
            x, quads, w, stride, t, step, far, before, scores = arguments
            few, wide = 8, ir.VectorType(_float64, 8)
            rows = [b.add(w, b.mul(stride, _int64(k))) for k in range(together)]
            entry, loop, done = b.block, b.append_basic_block(), b.append_basic_block()
            b.branch(loop)
            b.position_at_end(loop)
            pair = b.phi(_int64)
            pair.add_incoming(_int64(0), entry)
            sums = [[b.phi(_lanes) for _ in range(_HALVES)] for _ in range(together)]
            at = b.add(x, b.mul(pair, _int64(4 * ROWS)))
            codes = [load(b, b.add(at, _int64(4 * _LANES * half)), _pairs) for half in range(_HALVES)]
            ends = []
            for own, halves in zip(rows, sums, strict=True):
                weights = spread(b, load(b, b.add(own, b.mul(pair, _int64(4))), _int32), _LANES)
                for half, total in enumerate(halves):
                    ends.append(_multiply(b, total, codes[half], weights))
                    total.add_incoming(ir.Constant(_lanes, [0] * _LANES), entry)
                    total.add_incoming(ends[-1], loop)
            following = b.add(pair, _int64(1))
            pair.add_incoming(following, loop)
            b.cbranch(b.icmp_signed("<", following, b.mul(quads, _int64(2))), loop, done)
            b.position_at_end(done)
            for index, whole in enumerate(ends):
                k, half = divmod(index, _HALVES)
                steps = spread(b, load(b, b.add(step, b.mul(far, _int64(k))), _float64), few)
                for begin in range(0, _LANES, few):
                    place = _LANES * half + begin
                    dots = b.sitofp(_mix(b, [whole] * 2, range(begin, begin + few)), wide)
                    own = load(b, b.add(t, _int64(8 * place)), wide)
                    at, to = (b.add(first, _int64(8 * (ROWS * k + place))) for first in (before, scores))
                    _store(b, b.fadd(load(b, at, wide), b.fmul(own, b.fmul(steps, dots))), to)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 9), code

    return extending.intrinsic(add)


_add_1, _add_2, _add_3, _add_4 = (_adder(together) for together in range(1, MOST_TOGETHER + 1))


@extending.intrinsic  # type: ignore[untyped-decorator]
def _highest(_context: Any, _scores: Any, _count: Any, _best: Any) -> Any:
    """The class with the highest of (count, 32) float64 scores, the first of equals, as 32 uint8."""

    def code(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        scores, count, best = arguments
        few = 8
        wide, names = ir.VectorType(_float64, few), ir.VectorType(_int64, few)
        entry, loop, inner, done = b.block, *(b.append_basic_block() for _ in range(3))
        starts = [load(b, b.add(scores, _int64(8 * place)), wide) for place in range(0, ROWS, few)]
        b.branch(loop)
        b.position_at_end(loop)
        k = b.phi(_int64)
        k.add_incoming(_int64(1), entry)
        highest = [b.phi(wide) for _ in starts]
        found = [b.phi(names) for _ in starts]
        b.cbranch(b.icmp_signed("<", k, count), inner, done)
        b.position_at_end(inner)
        own = spread(b, k, few)
        for index, (score, name) in enumerate(zip(highest, found, strict=True)):
            here = load(b, b.add(scores, b.add(b.mul(k, _int64(8 * ROWS)), _int64(64 * index))), wide)
            above = b.fcmp_ordered(">", here, score)
            score.add_incoming(starts[index], entry)
            name.add_incoming(ir.Constant(names, [0] * few), entry)
            score.add_incoming(b.select(above, here, score), inner)
            name.add_incoming(b.select(above, own, name), inner)
        k.add_incoming(b.add(k, _int64(1)), inner)
        b.branch(loop)
        b.position_at_end(done)
        for index, name in enumerate(found):
            _store(b, b.trunc(name, ir.VectorType(_int8, few)), b.add(best, _int64(few * index)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), code


def _given(kind: Any, axes: int) -> Any:
    """The type of an array that is read."""
    return types.Array(kind, axes, "C", readonly=True)


def room(width: int, classes: int) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.float64]]:
    """Arrays that `linear` works in. One that it made itself would be freed when only its address is left."""
    return np.empty(width * 2 * ROWS, np.int8), np.empty((2, classes * ROWS)), np.empty(ROWS)


@numba.njit(
    [
        types.void(
            _given(types.int8, 2),
            _given(types.float32, 2),
            _given(types.int16, 2),
            _given(types.int64, 1),
            _given(types.float64, 2),
            _given(types.float64, 1),
            types.int8[::1],
            types.float64[:, ::1],
            types.float64[::1],
            types.uint8[::1],
            types.float64[:, ::1],
        )
    ],
    nogil=True,
    cache=True,
)
def linear(x, own, w, ends, scale, bias, turned, score, t, best, scores):  # type: ignore[no-untyped-def]
    """The class of each vector into `best`; scores too, if `scores` has rows. All arrays are C-contiguous.

    x : (n, B) int8, each part filled up to a multiple of 4; n at least 32
    own : (n, P) float32 scales
    w : (K, B) int16, of each four the first, third, second and fourth
    ends : (P,) where each part ends, in B
    scale, bias : (K, P) and (K,) float64
    turned, score, t : `room`
    best : (n,) uint8
    """
    count, parts, rows, width = bias.shape[0], ends.shape[0], x.shape[0], x.shape[1]
    for k in range(count):
        for r in range(ROWS):
            score[0, k * ROWS + r] = bias[k]
    of_x, of_w, of_step, of_best = x.ctypes.data, w.ctypes.data, scale.ctypes.data, best.ctypes.data
    of_turned, of_start, of_t = turned.ctypes.data, score.ctypes.data, t.ctypes.data
    of_score = of_start + count * ROWS * 8
    for first in range(0, rows, ROWS):
        # the last block begins earlier, and some vectors are in two
        i = min(first, rows - ROWS)
        _turn(of_x + i * width, width, of_turned)
        begin, before = 0, of_start
        for p in range(parts):
            for r in range(ROWS):
                t[r] = np.float64(own[i + r, p])
            quads, at = (ends[p] - begin) // 4, of_turned + begin * 2 * ROWS
            for k in range(0, count, MOST_TOGETHER):
                weights, step = of_w + (k * width + begin) * 2, of_step + (k * parts + p) * 8
                start, to, far, left = before + k * ROWS * 8, of_score + k * ROWS * 8, parts * 8, count - k
                if left >= MOST_TOGETHER:
                    _add_4(at, quads, weights, width * 2, of_t, step, far, start, to)
                elif left == 3:
                    _add_3(at, quads, weights, width * 2, of_t, step, far, start, to)
                elif left == 2:
                    _add_2(at, quads, weights, width * 2, of_t, step, far, start, to)
                else:
                    _add_1(at, quads, weights, width * 2, of_t, step, far, start, to)
            begin, before = ends[p], of_score
        _highest(of_score, count, of_best + i)
        if scores.shape[0]:
            for r in range(ROWS):
                for k in range(count):
                    scores[i + r, k] = score[1, k * ROWS + r]
