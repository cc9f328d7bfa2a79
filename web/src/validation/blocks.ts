import { numbered } from "./folds";

const BLOCK_KM = 10;
const ENOUGH = 60; // units: of one in three that is tested 20 remain
/** Tested units below which intervals may be too narrow. */
export const FEW = 20;
const SIDES = [10, 5, 2, 1, 0.5];
const PART = 0.75;
const KM_A_DEGREE = 111.32;

/** (n, 2) degrees -> (n,) the block of about side x side kilometres that holds each place. */
export function spatialBlocks(lonlat: Float64Array, sideKm = BLOCK_KM): Int32Array {
  const n = lonlat.length / 2;
  const names: [number, number][] = Array.from({ length: n }, (_, p) => {
    const [lon, lat] = [lonlat[2 * p] as number, lonlat[2 * p + 1] as number];
    const row = Math.floor((lat * KM_A_DEGREE) / sideKm);
    const middle = Math.max(-89.9, Math.min(89.9, ((row + 0.5) * sideKm) / KM_A_DEGREE));
    const shrunk = Math.cos((middle * Math.PI) / 180);
    return [row, Math.floor((lon * KM_A_DEGREE * shrunk) / sideKm)];
  });
  const order = [...names.keys()].sort((a, b) => compare(names[a], names[b]));
  const out = new Int32Array(n);
  let block = -1;
  order.forEach((p, place) => {
    if (place === 0 || compare(names[order[place - 1] ?? 0], names[p]) !== 0) block++;
    out[p] = block;
  });
  return out;
}

function compare(a: readonly [number, number] | undefined, b: readonly [number, number] | undefined): number {
  return a && b ? a[0] - b[0] || a[1] - b[1] : 0;
}

/** (n, 2) degrees: the centre of each label's group. */
export function groupCentres(lonlat: Float64Array, groups: Int32Array): Float64Array {
  const { member, count } = numbered(groups);
  const first = new Int32Array(count).fill(-1);
  member.forEach((group, row) => {
    if ((first[group] as number) < 0) first[group] = row;
  });
  const [sums, sizes] = [new Float64Array(2 * count), new Int32Array(count)];
  const start = (group: number, axis: number) => lonlat[2 * (first[group] as number) + axis] as number;
  member.forEach((group, row) => {
    sizes[group] = (sizes[group] as number) + 1;
    for (const axis of [0, 1]) {
      // from the first place of each group, so that the date line divides none
      const apart = turned((lonlat[2 * row + axis] as number) - start(group, axis));
      sums[2 * group + axis] = (sums[2 * group + axis] as number) + apart;
    }
  });
  return Float64Array.from({ length: lonlat.length }, (_, at) => {
    const [group, axis] = [member[at >> 1] as number, at & 1];
    const centre = start(group, axis) + (sums[2 * group + axis] as number) / (sizes[group] as number);
    return axis === 0 ? turned(centre) : centre;
  });
}

function turned(degrees: number): number {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}

/** The largest side that leaves enough blocks apart, and the block of each label, which holds its group's centre. */
export function blocksOf(
  lonlat: Float64Array,
  groups: Int32Array,
): { side: number; blocks: Int32Array; count: number } {
  const centres = groupCentres(lonlat, groups);
  const found = SIDES.map((side) => {
    const blocks = spatialBlocks(centres, side);
    return { side, blocks, count: new Set(blocks).size };
  });
  const most = found.reduce((largest, one) => Math.max(largest, one.count), 0);
  const chosen = found.find((one) => one.count >= ENOUGH) ?? found.find((one) => one.count >= PART * most);
  return chosen ?? { side: BLOCK_KM, blocks: new Int32Array(0), count: 0 };
}
