import { count, type Rows } from "./rows";

/** The mean vector of each group, quantised to codes and a scale as the encoder does; an empty group keeps its centre. */
export function quantiseMeans(rows: Rows, member: Int32Array, groups: number, before: Rows): Rows {
  const { dims } = rows;
  const sums = new Float64Array(groups * dims);
  const sizes = new Float64Array(groups);
  for (let i = 0; i < count(rows); i++) {
    const group = member[i] as number;
    const scale = rows.scales[i] as number;
    sizes[group] = (sizes[group] as number) + 1;
    for (let d = 0; d < dims; d++) {
      sums[group * dims + d] = (sums[group * dims + d] as number) + (rows.codes[i * dims + d] as number) * scale;
    }
  }
  const codes = new Int8Array(groups * dims);
  const scales = new Float32Array(groups);
  for (let group = 0; group < groups; group++) {
    const at = group * dims;
    let largest = 0;
    for (let d = 0; d < dims; d++)
      largest = Math.max(largest, Math.abs((sums[at + d] as number) / (sizes[group] as number)));
    if ((sizes[group] as number) === 0 || largest === 0) {
      codes.set(before.codes.subarray(at, at + dims), at);
      scales[group] = before.scales[group] as number;
      continue;
    }
    scales[group] = largest / 127;
    for (let d = 0; d < dims; d++)
      codes[at + d] = Math.round((sums[at + d] as number) / (sizes[group] as number) / (largest / 127));
  }
  return { dims, codes, scales };
}
