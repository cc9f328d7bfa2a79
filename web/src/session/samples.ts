import { PageError, type Running } from "../base";
import type { Loaded } from "../compute";
import { contains, lonLatOf, partsOf, pixelAt, type Pixel } from "../geo";
import type { Samples } from "../heads";
import { settled, type Label, type Labels } from "../labels";
import type { Block } from "../store";

const MOST_PIXELS_OF_LABEL = 400; // a large polygon says no more with all its pixels
const MOST_ELSEWHERE = 2_000; // pixels outside the area, each a request or a part of one
const MOST_OF_WINDOW = 16_000_000;

/** Pixels of a label: the one that holds a point; those with their centre in a polygon, evenly thinned. */
export function pixelsOf(label: Label, most = MOST_PIXELS_OF_LABEL): readonly Pixel[] {
  const { shape } = label;
  if (shape.kind === "point") return [pixelAt(shape.at)];
  const pixels: Pixel[] = [];
  for (const part of partsOf({ kind: "polygons", polygons: [shape.rings] })) {
    const { zone, row, col, height, width } = part.window;
    if (height * width > MOST_OF_WINDOW)
      throw new PageError("refused", "A label larger than 1,600 square kilometres; draw a smaller one.");
    const mask = part.mask(part.window);
    for (let index = 0; index < height * width; index += 1)
      if (mask === undefined || mask[index] === 1)
        pixels.push({ zone, row: row + Math.floor(index / width), col: col + (index % width) });
  }
  if (pixels.length <= most) return pixels;
  const stride = pixels.length / most;
  return Array.from({ length: most }, (_, index) => pixels[Math.floor(index * stride)]).filter(
    (each) => each !== undefined,
  );
}

export interface Gathered {
  readonly samples: Samples;
  readonly labels: readonly number[]; // which settled label each sample is of
  readonly without: number; // pixels of labels without data
  readonly skipped: number; // pixels beyond the limit outside the area
}

interface Wanted {
  readonly pixel: Pixel;
  readonly target: number;
  readonly group: number;
  readonly label: number;
}

/** Vectors of all settled labels: those of the area from memory, others from the store. */
export async function gather(labels: Labels, loaded: Loaded, running: Running): Promise<Gathered> {
  const index = new Map(labels.classes.map((each, at) => [each.id, at]));
  const groups = new Map<string, number>();
  const taken = new Set<string>();
  const wanted: Wanted[] = settled(labels).flatMap((label, at) => {
    const target = index.get(label.classId);
    if (target === undefined) return [];
    const key = label.group ?? label.id;
    const group = groups.get(key) ?? groups.size;
    groups.set(key, group);
    return pixelsOf(label).flatMap((pixel): Wanted[] => {
      // a pixel of two labels of one class counts once
      const name = `${label.classId}:${pixel.zone}:${pixel.row}:${pixel.col}`;
      if (taken.has(name)) return [];
      taken.add(name);
      return [{ pixel, target, group, label: at }];
    });
  });
  const isHere = ({ pixel }: Wanted) => loaded.windows.some((window) => contains(window, pixel));
  let elsewhere = 0;
  const read = wanted.filter((each) => isHere(each) || (elsewhere += 1) <= MOST_ELSEWHERE);
  const block = await loaded.gather(
    read.map((each) => each.pixel),
    running,
  );
  return { ...assembled(read, block, loaded.dims), skipped: wanted.length - read.length };
}

function assembled(wanted: readonly Wanted[], block: Block, dims: number): Omit<Gathered, "skipped"> {
  const { codes: all, scales } = block;
  const good = wanted.map((_, row) => row).filter((row) => Number.isFinite(scales[row]) && (scales[row] ?? 0) > 0);
  const codes = new Int8Array(good.length * dims);
  good.forEach((row, to) => codes.set(all.subarray(row * dims, (row + 1) * dims), to * dims));
  const pick = (value: (each: Wanted) => number) =>
    good.map((row) => wanted[row]).map((each) => (each ? value(each) : 0));
  const places = good.flatMap((row) => {
    const pixel = wanted[row]?.pixel;
    return pixel ? lonLatOf(pixel) : [0, 0];
  });
  return {
    samples: {
      dims,
      codes,
      scales: Float32Array.from(good, (row) => scales[row] ?? NaN),
      target: Int32Array.from(pick((each) => each.target)),
      groups: Int32Array.from(pick((each) => each.group)),
      places: Float64Array.from(places),
    },
    labels: pick((each) => each.label),
    without: wanted.length - good.length,
  };
}
