import { count, type Rows } from "./rows";

/**
 * How far neighbours in a picture are neighbours among the vectors: 1 is all of them (Venna & Kaski 2001). Compares each
 * with all, n^2 in time.
 */
export function trustworthiness(rows: Rows, points: Float32Array, k = 15): number {
  const n = count(rows);
  const values = Float64Array.from(rows.codes, (code, i) => code * (rows.scales[Math.floor(i / rows.dims)] as number));
  let penalty = 0;
  const far = new Float64Array(n);
  const near = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let square = 0;
      for (let d = 0; d < rows.dims; d++)
        square += ((values[i * rows.dims + d] as number) - (values[j * rows.dims + d] as number)) ** 2;
      far[j] = j === i ? Infinity : square;
      near[j] =
        j === i
          ? Infinity
          : ((points[2 * i] as number) - (points[2 * j] as number)) ** 2 +
            ((points[2 * i + 1] as number) - (points[2 * j + 1] as number)) ** 2;
    }
    const ranks = order(far).reduce((all, j, rank) => ((all[j] = rank + 1), all), new Int32Array(n));
    for (const j of order(near).subarray(0, k)) penalty += Math.max(0, (ranks[j] as number) - k);
  }
  return 1 - (2 / (n * k * (2 * n - 3 * k - 1))) * penalty;
}

function order(distance: Float64Array): Int32Array {
  return Int32Array.from(distance, (_, i) => i).sort(
    (a, b) => (distance[a] as number) - (distance[b] as number) || a - b,
  );
}
