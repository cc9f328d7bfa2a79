/** Vectors of one place or polygon in one year: the mean of its valid pixels. */
export interface YearMean {
  readonly year: number;
  readonly pixels: number; // valid; 0 is no data in that year
  readonly mean: Float64Array; // (dims,)
}

/** A place over the years: how far each year's mean lies from the first and from the year before, 1 - cosine. */
export interface Moment {
  readonly year: number;
  readonly pixels: number;
  readonly fromFirst: number; // NaN without data
  readonly fromBefore: number;
}

export function meanOf(year: number, codes: Int8Array, scales: Float32Array, dims: number): YearMean {
  const mean = new Float64Array(dims);
  let pixels = 0;
  scales.forEach((scale, i) => {
    if (!(scale > 0 && scale < Infinity)) return;
    pixels++;
    for (let d = 0; d < dims; d++) mean[d] = (mean[d] as number) + (codes[i * dims + d] as number) * scale;
  });
  return { year, pixels, mean: mean.map((sum) => sum / Math.max(1, pixels)) };
}

export function timeline(years: readonly YearMean[]): readonly Moment[] {
  const held = years.filter(({ pixels }) => pixels > 0);
  const [first] = held;
  return years.map((each) => {
    const before = held.filter(({ year }) => year < each.year).at(-1);
    return {
      year: each.year,
      pixels: each.pixels,
      fromFirst: each.pixels > 0 && first ? apart(first.mean, each.mean) : NaN,
      fromBefore: each.pixels > 0 && before ? apart(before.mean, each.mean) : NaN,
    };
  });
}

function apart(one: Float64Array, other: Float64Array): number {
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, d) => sum + value * (b[d] as number), 0);
  const size = Math.sqrt(dot(one, one) * dot(other, other));
  return size > 0 ? Math.max(0, 1 - dot(one, other) / size) : NaN;
}
