"""Neighbours and trees compiled by numba, with the bits of `_exact` and of `_trees`.

Products of codes use the processor's instruction for bytes (AVX-512 VNNI), which sums four products of an unsigned and
a signed byte a lane into int32, exactly. `_fast` says whether this module can be used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera.base import require

_PURPOSE = "fast predictions"
numba: Any = require("numba", extra="heads", purpose=_PURPOSE)
extending: Any = require("numba.extending", extra="heads", purpose=_PURPOSE)
types: Any = require("numba.core.types", extra="heads", purpose=_PURPOSE)
ir: Any = require("llvmlite.ir", extra="heads", purpose=_PURPOSE)

ROWS, LANES = 8, 16
"""Vectors and rows of weights of a tile."""
_int32, _int64, _float64 = ir.IntType(32), ir.IntType(64), ir.DoubleType()
_lanes = ir.VectorType(_int32, LANES)
compiled = numba.njit(nogil=True, cache=True)


def load(b: Any, address: Any, kind: Any) -> Any:
    value = b.load(b.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def spread(b: Any, value: Any, count: int) -> Any:
    kind = ir.VectorType(value.type, count)
    empty = ir.Constant(kind, ir.Undefined)
    first = ir.Constant(ir.VectorType(_int32, count), [0] * count)
    return b.shuffle_vector(b.insert_element(empty, value, _int32(0)), empty, first)


def _products(b: Any, w: Any, x: Any, stride: Any, quads: Any) -> list[Any]:
    """Code for the sums of products of 8 vectors, `stride` bytes apart, and 16 rows of weights (quads, 16, 4) uint8."""
    sums = b.module.declare_intrinsic(
        "llvm.x86.avx512.vpdpbusd.512", (), ir.FunctionType(_lanes, [_lanes, _lanes, _lanes])
    )
    entry, loop, done = b.block, b.append_basic_block("loop"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    quad = b.phi(_int64)
    quad.add_incoming(_int64(0), entry)
    total = [b.phi(_lanes) for _ in range(ROWS)]
    weights = load(b, b.add(w, b.mul(quad, _int64(4 * LANES))), _lanes)
    following = b.add(quad, _int64(1))
    ends = []
    for row, phi in enumerate(total):
        four = load(b, b.add(x, b.add(b.mul(stride, _int64(row)), b.mul(quad, _int64(4)))), _int32)
        ends.append(b.call(sums, [phi, weights, spread(b, four, LANES)]))
        phi.add_incoming(ir.Constant(_lanes, [0] * LANES), entry)
        phi.add_incoming(ends[-1], loop)
    quad.add_incoming(following, loop)
    b.cbranch(b.icmp_signed("<", following, quads), loop, done)
    b.position_at_end(done)
    return ends


@extending.intrinsic  # type: ignore[untyped-decorator]
def _look(
    _context: Any,
    _w: Any,
    _x: Any,
    _stride: Any,
    _quads: Any,
    _less: Any,
    _t: Any,
    _square: Any,
    _double: Any,
    _dots: Any,
    _far: Any,
) -> Any:
    """Products of codes, and in float32 what a part adds to the order of 16 rows: square - (t x double) x dot.

    All are addresses or counts: w, codes + 128; x, stride, quads; less (8,) int32, 128 x the sum of the codes; t (8,)
    float32; square, double (16,) float32; dots (8, 16) int32; far (8, 16) float32, added to.
    """

    def code(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        w, x, stride, quads, less, t, square, double, dots, far = arguments
        wide = ir.VectorType(ir.FloatType(), LANES)
        squares, doubles = load(b, square, wide), load(b, double, wide)
        for row, total in enumerate(_products(b, w, x, stride, quads)):
            own = load(b, b.add(less, _int64(4 * row)), _int32)
            dot = b.sub(total, spread(b, own, LANES))
            b.store(dot, b.inttoptr(b.add(dots, _int64(4 * LANES * row)), _lanes.as_pointer())).align = 1
            scale = spread(b, load(b, b.add(t, _int64(4 * row)), ir.FloatType()), LANES)
            at = b.add(far, _int64(4 * LANES * row))
            more = b.fsub(squares, b.fmul(b.fmul(scale, doubles), b.sitofp(dot, wide)))
            b.store(b.fadd(load(b, at, wide), more), b.inttoptr(at, wide.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(*[types.intp] * 10), code


@extending.intrinsic  # type: ignore[untyped-decorator]
def _any_below(_context: Any, _far: Any, _bound: Any) -> Any:
    """Which of 16 float32 at an address are at most a bound, as bits."""

    def code(_context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        far, bound = arguments
        wide = ir.VectorType(ir.FloatType(), LANES)
        below = b.fcmp_ordered("<=", load(b, far, wide), spread(b, bound, LANES))
        return b.zext(b.bitcast(below, ir.IntType(LANES)), _int64)

    return types.intp(types.intp, types.float32), code


@compiled
def _sums(x, i, begin, end, times, out):  # type: ignore[no-untyped-def]
    """`times` the sums of codes `begin` to `end` of 8 vectors from `i`."""
    flat, width = x.reshape(-1), np.uint64(x.shape[1])
    for r in range(ROWS):
        total, at = np.int32(0), np.uint64(i + r) * width
        for j in range(begin, end):
            total = np.int32(total + np.int32(flat[at + np.uint64(j)]))
        out[r] = np.int32(total * np.int32(times))


@compiled
def nearest(x, own, w, ends, square, double, squares, doubles, found, order):  # type: ignore[no-untyped-def]
    """The nearest rows of each vector into `found`, what orders them into `order`, both (n, k).

    Rows are looked at in float32 first. Its error is below `slack`, so that what it passes over cannot be among the
    nearest; what remains is computed in float64. Scales are `moderate`, so that float32 holds their squares.

    x : (n, B) int8, each part filled up to a multiple of 4; n a multiple of 8
    own : (n, P) float32 scales
    ends : (P,) where each part ends, in B
    w : (blocks, B / 4, 16, 4) uint8: codes + 128
    square, double : (P, 16 blocks) float64; square is inf behind the last row
    squares, doubles : the same as float32. An array that is made here and used by its address alone would be freed
    """
    parts, near, blocks = ends.shape[0], found.shape[1], w.shape[0]
    less, t = np.empty(parts * ROWS, np.int32), np.empty(parts * ROWS, np.float32)
    dots, far = np.empty(parts * ROWS * LANES, np.int32), np.empty(ROWS * LANES, np.float32)
    held, names, slack = np.empty(ROWS * near), np.empty(ROWS * near, np.int64), np.empty(ROWS)
    longest = np.zeros(parts)
    for p in range(parts):
        for k in range(square.shape[1]):
            if square[p, k] < np.inf:
                longest[p] = max(longest[p], square[p, k])
    of_w, of_x, of_far, of_less, of_t = w.ctypes.data, x.ctypes.data, far.ctypes.data, less.ctypes.data, t.ctypes.data
    of_square, of_double, width, deep = squares.ctypes.data, doubles.ctypes.data, x.shape[1], w.shape[1]
    of_dots = dots.ctypes.data
    for i in range(0, x.shape[0], ROWS):
        begin = 0
        slack[:] = 0.0
        for p in range(parts):
            _sums(x, i, begin, ends[p], 128, less[p * ROWS : (p + 1) * ROWS])
            for r in range(ROWS):
                t[p * ROWS + r] = own[i + r, p]
                # |t 2 s q . p| <= 2 |label| |vector|, and no code is above 128
                length = np.float64(own[i + r, p]) * 128.0 * np.sqrt(np.float64(ends[p] - begin))
                slack[r] += longest[p] + 2.0 * np.sqrt(longest[p]) * length
            begin = ends[p]
        for r in range(ROWS):
            # roundings of 2**-24 each, fewer than four a part, and of the sums of the parts
            slack[r] = slack[r] * (4 + parts) * 2.0**-23
        held[:] = np.inf
        names[:] = 0
        for block in range(blocks):
            far[:] = np.float32(0.0)
            begin = 0
            for p in range(parts):
                of_part = (p * blocks + block) * 64
                _look(
                    of_w + (block * deep + begin // 4) * 64,
                    of_x + i * width + begin,
                    width,
                    (ends[p] - begin) // 4,
                    of_less + p * 32,
                    of_t + p * 32,
                    of_square + of_part,
                    of_double + of_part,
                    of_dots + p * 512,
                    of_far,
                )
                begin = ends[p]
            for r in range(ROWS):
                last = r * near + near - 1
                bits = _any_below(of_far + r * 64, np.float32(held[last] + slack[r]))
                lane = 0
                while bits:
                    while not bits & 1:
                        bits >>= 1
                        lane += 1
                    here, k = 0.0, block * LANES + lane
                    for p in range(parts):
                        dot = np.float64(dots[(p * ROWS + r) * LANES + lane])
                        here = here + (square[p, k] - (np.float64(t[p * ROWS + r]) * double[p, k]) * dot)
                    if here < held[last]:
                        place = last
                        while place > r * near and held[place - 1] > here:
                            held[place] = held[place - 1]
                            names[place] = names[place - 1]
                            place -= 1
                        held[place] = here
                        names[place] = k
                    bits >>= 1
                    lane += 1
        for r in range(ROWS):
            for k in range(near):
                order[i + r, k] = held[r * near + k]
                found[i + r, k] = names[r * near + k]


@compiled
def leaves(rows, root, depth, walk, threshold, out):  # type: ignore[no-untyped-def]
    """The leaf that each of (n, D) float32 vectors reaches in a tree, as a node, into `out`.

    Sixteen vectors go down together, so that none waits for the memory of another.

    root, depth : of the tree
    walk : (M,) uint64, the first child of each node x 65,536 + what it looks at; a leaf is its own child
    threshold : (M,) float32, inf of a leaf
    """
    flat, width, count = rows.reshape(-1), np.uint64(rows.shape[1]), rows.shape[0]
    node = np.empty(LANES, np.uint32)
    for start in range(0, count, LANES):
        # the last sixteen begin earlier, and some go down twice
        begin = np.uint64(max(0, min(start, count - LANES)))
        many = min(LANES, count)
        node[:] = root
        if many == LANES:
            for _ in range(depth):
                for r in range(LANES):
                    here = np.uint64(node[r])
                    both = walk[here]
                    value = flat[(begin + np.uint64(r)) * width + (both & np.uint64(65535))]
                    node[r] = np.uint32(both >> np.uint64(16)) + np.uint32(value > threshold[here])
        else:
            for _ in range(depth):
                for r in range(many):
                    here = np.uint64(node[r])
                    both = walk[here]
                    value = flat[(begin + np.uint64(r)) * width + (both & np.uint64(65535))]
                    node[r] = np.uint32(both >> np.uint64(16)) + np.uint32(value > threshold[here])
        for r in range(many):
            out[begin + np.uint64(r)] = node[r]


@compiled
def add_rows(nodes, row, values, out):  # type: ignore[no-untyped-def]
    """Add to each row of `out` the row of `values` that its node has."""
    for i in range(nodes.shape[0]):
        line, held = out[i], values[row[nodes[i]]]
        for k in range(line.shape[0]):
            line[k] += held[k]
