import { Random, type Rows } from "../../src/structure";

/** Vectors around random centres, quantised as a store has them, and which centre each is of. */
export function clusters(n: number, groups: number, dims: number, seed: number): { rows: Rows; member: Int32Array } {
  const random = new Random(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
  const centres = Float64Array.from({ length: groups * dims }, () => 3 * normal());
  const codes = new Int8Array(n * dims);
  const scales = new Float32Array(n);
  const member = Int32Array.from({ length: n }, (_, i) => i % groups);
  for (let i = 0; i < n; i++) {
    const values = Float64Array.from({ length: dims }, (_, d) => (centres[(i % groups) * dims + d] ?? 0) + normal());
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    scales[i] = largest / 127;
    values.forEach((value, d) => (codes[i * dims + d] = Math.round((value / largest) * 127)));
  }
  return { rows: { dims, codes, scales }, member };
}
