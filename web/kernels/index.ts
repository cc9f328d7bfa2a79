// AssemblyScript. Arithmetic on codes; the page lays out the memory (src/kernels/wasm.ts) and passes addresses.
// No function allocates. Lengths are padded by the caller, so that no loop has a tail: what is read beyond is not used.

/** Rows of packed int16 that a processor's nearest cache holds beside some codes: 64 of 128 dims are 16 kB. */
const TILE: i32 = 64;

/**
 * Dot products of n vectors (n even after padding) with rows (a multiple of 4).
 * Rows are packed by fours: eight dims of each of the four, then the next eight.
 */
export function dots(codes: usize, n: i32, dims: i32, packed: usize, rows: i32, out: usize): void {
  const steps = (dims + 7) >> 3;
  const four = <usize>steps * 64;
  const line = (<usize>rows) << 2;
  for (let first = 0; first < rows; first += TILE) {
    const last = min(first + TILE, rows);
    for (let p = 0; p < n; p += 2) {
      const a = codes + <usize>p * <usize>dims;
      const b = a + <usize>dims;
      const to = out + <usize>p * line;
      let w = packed + ((<usize>first) >> 2) * four;
      for (let r = first; r < last; r += 4) {
        let a0 = i32x4.splat(0);
        let a1 = i32x4.splat(0);
        let a2 = i32x4.splat(0);
        let a3 = i32x4.splat(0);
        let b0 = i32x4.splat(0);
        let b1 = i32x4.splat(0);
        let b2 = i32x4.splat(0);
        let b3 = i32x4.splat(0);
        for (let d = 0; d < steps; d++) {
          const x = v128.load_ext<i8>(a + ((<usize>d) << 3));
          const y = v128.load_ext<i8>(b + ((<usize>d) << 3));
          let v = v128.load(w);
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, v));
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(y, v));
          v = v128.load(w, 16);
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, v));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(y, v));
          v = v128.load(w, 32);
          a2 = i32x4.add(a2, i32x4.dot_i16x8_s(x, v));
          b2 = i32x4.add(b2, i32x4.dot_i16x8_s(y, v));
          v = v128.load(w, 48);
          a3 = i32x4.add(a3, i32x4.dot_i16x8_s(x, v));
          b3 = i32x4.add(b3, i32x4.dot_i16x8_s(y, v));
          w += 64;
        }
        const place = to + ((<usize>r) << 2);
        v128.store(place, across(a0, a1, a2, a3));
        v128.store(place + line, across(b0, b1, b2, b3));
      }
    }
  }
}

/** scores = scores + t * (factor * dot) of each vector and row; the first part begins with the bias. */
export function addScores(
  dot: usize,
  n: i32,
  rows: i32,
  factor: usize,
  scales: usize,
  bias: usize,
  scores: usize,
  begins: bool,
): void {
  const line = (<usize>rows) << 3;
  for (let p = 0; p < n; p++) {
    const t = f64x2.splat(<f64>load<f32>(scales + ((<usize>p) << 2)));
    let from = dot + <usize>p * (line >> 1);
    const to = scores + <usize>p * line;
    for (let r: usize = 0; r < line; r += 16) {
      const whole = f64x2.convert_low_i32x4_s(v128.load64_zero(from));
      const was = v128.load(begins ? bias + r : to + r);
      v128.store(to + r, f64x2.add(was, f64x2.mul(t, f64x2.mul(v128.load(factor + r), whole))));
      from += 8;
    }
  }
}

/** The sums of the lanes of four vectors, as one. */
function across(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

/** Sums of squared codes. */
export function squares(codes: usize, n: i32, dims: i32, out: usize): void {
  const whole = dims & ~7;
  for (let p = 0; p < n; p++) {
    const a = codes + <usize>p * <usize>dims;
    let sum = i32x4.splat(0);
    for (let d = 0; d < whole; d += 8) {
      const x = v128.load_ext<i8>(a + <usize>d);
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(x, x));
    }
    let one =
      i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
    for (let d = whole; d < dims; d++) {
      const x = <i32>load<i8>(a + <usize>d);
      one += x * x;
    }
    store<i32>(out + ((<usize>p) << 2), one);
  }
}

/**
 * order = order + (square - (t * double) * dot) of each vector and row; the first part begins with 0.
 * Squares of rows that only pad are infinite.
 */
export function addOrder(
  dot: usize,
  n: i32,
  rows: i32,
  square: usize,
  double: usize,
  scales: usize,
  order: usize,
  begins: bool,
): void {
  for (let p = 0; p < n; p++) {
    const t = f64x2.splat(<f64>load<f32>(scales + ((<usize>p) << 2)));
    let from = dot + <usize>p * ((<usize>rows) << 2);
    let to = order + <usize>p * ((<usize>rows) << 3);
    for (let r: usize = 0; r < (<usize>rows) << 3; r += 16) {
      const was = begins ? f64x2.splat(0) : v128.load(to);
      v128.store(to, f64x2.add(was, gap(t, from, square + r, double + r)));
      from += 8;
      to += 16;
    }
  }
}

function gap(t: v128, dot: usize, square: usize, double: usize): v128 {
  const whole = f64x2.convert_low_i32x4_s(v128.load64_zero(dot));
  return f64x2.sub(v128.load(square), f64x2.mul(f64x2.mul(t, v128.load(double)), whole));
}

/** As addOrder for the last part, and the k smallest of each vector, in order, the first of equals. */
export function smallest(
  dot: usize,
  n: i32,
  rows: i32,
  square: usize,
  double: usize,
  scales: usize,
  order: usize,
  begins: bool,
  k: i32,
  found: usize,
  values: usize,
): void {
  for (let p = 0; p < n; p++) {
    const t = f64x2.splat(<f64>load<f32>(scales + ((<usize>p) << 2)));
    const from = dot + <usize>p * ((<usize>rows) << 2);
    const was = order + <usize>p * ((<usize>rows) << 3);
    const places = found + <usize>p * ((<usize>k) << 2);
    const best = values + <usize>p * ((<usize>k) << 3);
    for (let i = 0; i < k; i++) {
      store<i32>(places + ((<usize>i) << 2), 0);
      store<f64>(best + ((<usize>i) << 3), Infinity);
    }
    let worst = f64x2.splat(Infinity);
    for (let r = 0; r < rows; r += 2) {
      const at = (<usize>r) << 3;
      const before = begins ? f64x2.splat(0) : v128.load(was + at);
      const own = f64x2.add(before, gap(t, from + ((<usize>r) << 2), square + at, double + at));
      if (v128.any_true(f64x2.lt(own, worst))) {
        insert(f64x2.extract_lane(own, 0), r, k, places, best);
        insert(f64x2.extract_lane(own, 1), r + 1, k, places, best);
        worst = v128.load_splat<f64>(best + ((<usize>(k - 1)) << 3));
      }
    }
  }
}

function insert(value: f64, row: i32, k: i32, places: usize, best: usize): void {
  if (!(value < load<f64>(best + ((<usize>(k - 1)) << 3)))) return;
  let i = k - 1;
  while (i > 0) {
    const above = load<f64>(best + ((<usize>(i - 1)) << 3));
    if (above <= value) break;
    store<f64>(best + ((<usize>i) << 3), above);
    store<i32>(places + ((<usize>i) << 2), load<i32>(places + ((<usize>(i - 1)) << 2)));
    i--;
  }
  store<f64>(best + ((<usize>i) << 3), value);
  store<i32>(places + ((<usize>i) << 2), row);
}

/** float32(code x scale) of a part, into columns of (n, stride) float32 from `out` on. */
export function values(codes: usize, n: i32, dims: i32, scales: usize, out: usize, stride: i32): void {
  for (let p = 0; p < n; p++) {
    const t = load<f32>(scales + ((<usize>p) << 2));
    const from = codes + <usize>p * <usize>dims;
    const to = out + <usize>p * ((<usize>stride) << 2);
    for (let d = 0; d < dims; d++) {
      store<f32>(to + ((<usize>d) << 2), <f32>load<i8>(from + <usize>d) * t);
    }
  }
}

/**
 * Where n vectors (a multiple of 4) end in a tree: what its leaf holds.
 * A node is threshold f32, feature u32, first child u32, row u32; a leaf is its own child and its threshold infinite.
 */
export function walk(rows: usize, n: i32, stride: i32, nodes: usize, root: i32, ends: usize): void {
  const line = (<usize>stride) << 2;
  for (let p = 0; p < n; p += 4) {
    const a = rows + <usize>p * line;
    const b = a + line;
    const c = b + line;
    const d = c + line;
    let i = root;
    let j = root;
    let k = root;
    let l = root;
    for (;;) {
      const i1 = step(a, nodes, i);
      const j1 = step(b, nodes, j);
      const k1 = step(c, nodes, k);
      const l1 = step(d, nodes, l);
      if (((i1 ^ i) | (j1 ^ j) | (k1 ^ k) | (l1 ^ l)) == 0) break;
      i = i1;
      j = j1;
      k = k1;
      l = l1;
    }
    const to = ends + ((<usize>p) << 2);
    store<i32>(to, load<i32>(nodes + ((<usize>i) << 4), 12));
    store<i32>(to, load<i32>(nodes + ((<usize>j) << 4), 12), 4);
    store<i32>(to, load<i32>(nodes + ((<usize>k) << 4), 12), 8);
    store<i32>(to, load<i32>(nodes + ((<usize>l) << 4), 12), 12);
  }
}

function step(row: usize, nodes: usize, node: i32): i32 {
  const at = nodes + ((<usize>node) << 4);
  const x = load<f32>(row + ((<usize>load<u32>(at, 4)) << 2));
  return load<i32>(at, 8) + <i32>(x > load<f32>(at));
}

/** sums[p, k] += table[ends[p], k]; `columns` is even. */
export function addRows(ends: usize, n: i32, table: usize, columns: i32, sums: usize): void {
  const line = (<usize>columns) << 3;
  for (let p = 0; p < n; p++) {
    const from = table + <usize>load<u32>(ends + ((<usize>p) << 2)) * line;
    const to = sums + <usize>p * line;
    for (let k: usize = 0; k < line; k += 16) {
      v128.store(to + k, f64x2.add(v128.load(to + k), v128.load(from + k)));
    }
  }
}

/** sums[p, column] += table[ends[p]]. */
export function addOne(ends: usize, n: i32, table: usize, columns: i32, column: i32, sums: usize): void {
  for (let p = 0; p < n; p++) {
    const to = sums + ((<usize>p * <usize>columns + <usize>column) << 3);
    store<f64>(to, load<f64>(to) + load<f64>(table + ((<usize>load<u32>(ends + ((<usize>p) << 2))) << 3)));
  }
}

/** (value - mean) / std of n rows, in place. */
export function standardise(rows: usize, n: i32, stride: i32, mean: usize, std: usize): void {
  for (let p = 0; p < n; p++) {
    const row = rows + <usize>p * ((<usize>stride) << 2);
    for (let d: usize = 0; d < (<usize>stride) << 2; d += 16) {
      const own = f32x4.sub(v128.load(row + d), v128.load(mean + d));
      v128.store(row + d, f32x4.div(own, v128.load(std + d)));
    }
  }
}

/**
 * A layer of a network: n rows (a multiple of 4) of `inputs` float32 to rows of `outputs` (a multiple of 8).
 * Weights are packed by eights of outputs: the eight of the first input, then those of the next.
 */
export function layer(
  rows: usize,
  n: i32,
  stride: i32,
  inputs: i32,
  packed: usize,
  bias: usize,
  outputs: i32,
  out: usize,
  positive: bool,
): void {
  const line = (<usize>stride) << 2;
  const next = (<usize>outputs) << 2;
  for (let o = 0; o < outputs; o += 8) {
    const tile = packed + <usize>o * ((<usize>inputs) << 2);
    const low = v128.load(bias + ((<usize>o) << 2));
    const high = v128.load(bias + ((<usize>o) << 2), 16);
    for (let p = 0; p < n; p += 4) {
      let a = rows + <usize>p * line;
      let w = tile;
      let a0 = low;
      let a1 = high;
      let b0 = low;
      let b1 = high;
      let c0 = low;
      let c1 = high;
      let d0 = low;
      let d1 = high;
      for (let i = 0; i < inputs; i++) {
        const u = v128.load(w);
        const v = v128.load(w, 16);
        let x = v128.load_splat<f32>(a);
        a0 = f32x4.add(a0, f32x4.mul(x, u));
        a1 = f32x4.add(a1, f32x4.mul(x, v));
        x = v128.load_splat<f32>(a + line);
        b0 = f32x4.add(b0, f32x4.mul(x, u));
        b1 = f32x4.add(b1, f32x4.mul(x, v));
        x = v128.load_splat<f32>(a + line * 2);
        c0 = f32x4.add(c0, f32x4.mul(x, u));
        c1 = f32x4.add(c1, f32x4.mul(x, v));
        x = v128.load_splat<f32>(a + line * 3);
        d0 = f32x4.add(d0, f32x4.mul(x, u));
        d1 = f32x4.add(d1, f32x4.mul(x, v));
        a += 4;
        w += 32;
      }
      if (positive) {
        const zero = f32x4.splat(0);
        a0 = f32x4.max(a0, zero);
        a1 = f32x4.max(a1, zero);
        b0 = f32x4.max(b0, zero);
        b1 = f32x4.max(b1, zero);
        c0 = f32x4.max(c0, zero);
        c1 = f32x4.max(c1, zero);
        d0 = f32x4.max(d0, zero);
        d1 = f32x4.max(d1, zero);
      }
      const to = out + <usize>p * next + ((<usize>o) << 2);
      v128.store(to, a0);
      v128.store(to, a1, 16);
      v128.store(to + next, b0);
      v128.store(to + next, b1, 16);
      v128.store(to + next * 2, c0);
      v128.store(to + next * 2, c1, 16);
      v128.store(to + next * 3, d0);
      v128.store(to + next * 3, d1, 16);
    }
  }
}
