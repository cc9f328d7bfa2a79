/** Vectors as the store keeps them: value = code x scale. All scales are finite and above 0. */
export interface Rows {
  readonly dims: number;
  readonly codes: Int8Array; // (n, dims)
  readonly scales: Float32Array; // (n,)
}

/** How many vectors there are. */
export function count(rows: Rows): number {
  return rows.scales.length;
}

/** The vectors at some places, in their order. */
export function take(rows: Rows, at: ArrayLike<number>): Rows {
  const { dims } = rows;
  const codes = new Int8Array(at.length * dims);
  const scales = new Float32Array(at.length);
  for (let i = 0; i < at.length; i++) {
    const from = at[i] as number;
    codes.set(rows.codes.subarray(from * dims, (from + 1) * dims), i * dims);
    scales[i] = rows.scales[from] as number;
  }
  return { dims, codes, scales };
}

/** The vectors that hold data, and where they were. */
export function valid(rows: Rows): { rows: Rows; at: Int32Array } {
  const at: number[] = [];
  rows.scales.forEach((scale, i) => {
    if (scale > 0 && scale < Infinity) at.push(i);
  });
  const kept = Int32Array.from(at);
  return { rows: take(rows, kept), at: kept };
}
