// Colours of the points in the Structure panel, and what they say in words.
import { contains, type Pixel } from "../geo";
import { PALETTE, rgb, settled } from "../labels";
import type { RasterLayer, Tile } from "../map";
import { mapLayer } from "./classify";
import { SCORES } from "./find";
import { coloursLayer } from "./look";
import { pixelsOf } from "./samples";
import type { Session } from "./session.svelte";
import type { PointColours } from "./structuring.svelte";

const GREY = [128, 134, 130] as const;
const MOST_PIXELS_OF_LABEL = 200_000;

type Colour = readonly [number, number, number];

export function groupColour(group: number): string {
  return PALETTE[group % PALETTE.length] ?? PALETTE[0];
}

/** Values of a layer at many pixels: the tile of the one before is tried first, since samples come in order. */
function* valuesAt(layer: RasterLayer, pixels: readonly Pixel[]): Generator<readonly number[] | undefined> {
  let tile: Tile | undefined;
  for (const pixel of pixels) {
    if (!tile || !contains(tile.window, pixel)) tile = layer.tiles.find((each) => contains(each.window, pixel));
    if (!tile) {
      yield undefined;
      continue;
    }
    const { window, step, data } = tile;
    const [width, height] = [Math.floor(window.width / step), Math.floor(window.height / step)];
    const channels = data.length / (width * height);
    const [i, j] = [Math.floor((pixel.col - window.col) / step), Math.floor((pixel.row - window.row) / step)];
    const at = (j * width + i) * channels;
    yield i < width && j < height ? Array.from(data.subarray(at, at + channels)) : undefined;
  }
}

/** Which colourings there is something to show of. */
export function pointColourings(session: Session): readonly PointColours[] {
  const { structuring, labelling } = session;
  const { sample } = structuring;
  if (!sample) return [];
  return [
    ...(session.layer(coloursLayer(sample.year)) ? (["colour"] as const) : []),
    ...(session.layer(mapLayer(sample.year)) ? (["class"] as const) : []),
    ...(session.layer(SCORES) ? (["score"] as const) : []),
    ...(labelling.labels.labels.length > 0 ? (["label"] as const) : []),
    ...(structuring.member ? (["group"] as const) : []),
  ];
}

/** What each point is of: an index into names and colours; -1 is none. */
export interface Kinds {
  readonly names: readonly string[];
  readonly colours: readonly string[];
  readonly of: Int32Array;
}

/** Classes, labels or groups of the points; undefined for colourings that have no kinds. */
export function pointKinds(session: Session): Kinds | undefined {
  const { structuring, labelling, classifying } = session;
  const { sample, member, colouring, groups } = structuring;
  if (!sample) return undefined;
  if (colouring === "group" && member) {
    const list = Array.from({ length: groups }, (_, group) => group);
    return { names: list.map((group) => `Group ${group + 1}`), colours: list.map(groupColour), of: member };
  }
  if (colouring === "class") {
    const layer = session.layer(mapLayer(sample.year));
    const head = classifying.fitted?.head;
    if (!layer || !head) return undefined;
    const of = Int32Array.from(valuesAt(layer, sample.pixels), (value) => {
      const index = value?.[0] ?? 255;
      return index < head.classes.length ? index : -1;
    });
    return { names: head.classes, colours: head.colours, of };
  }
  if (colouring !== "label") return undefined;
  const { labels } = labelling;
  const index = new Map(labels.classes.map((each, at) => [each.id, at]));
  const name = ({ zone, row, col }: Pixel) => `${zone}:${row}:${col}`;
  const labelled = new Map<string, number>();
  for (const label of settled(labels)) {
    const at = index.get(label.classId);
    if (at === undefined) continue;
    try {
      for (const pixel of pixelsOf(label, MOST_PIXELS_OF_LABEL)) labelled.set(name(pixel), at);
    } catch {
      // a label larger than any sample says nothing here
    }
  }
  return {
    names: labels.classes.map((each) => each.name),
    colours: labels.classes.map((each) => each.colour),
    of: Int32Array.from(sample.pixels, (pixel) => labelled.get(name(pixel)) ?? -1),
  };
}

/** (n, 3) red, green and blue of each point. */
export function pointColours(session: Session, kinds: Kinds | undefined = pointKinds(session)): Uint8ClampedArray {
  const { sample, colouring } = session.structuring;
  const colours = new Uint8ClampedArray(3 * (sample?.pixels.length ?? 0));
  if (!sample) return colours;
  if (kinds) {
    const table = kinds.colours.map(rgb);
    kinds.of.forEach((kind, row) => colours.set(table[kind] ?? GREY, 3 * row));
    return colours;
  }
  const layer = session.layer(colouring === "score" ? SCORES : coloursLayer(sample.year));
  const paint = layer?.paint;
  let row = 0;
  if (!layer || !paint) return colours.fill(GREY[1]);
  for (const value of valuesAt(layer, sample.pixels)) {
    const colour: Colour | undefined =
      value === undefined
        ? undefined
        : paint.kind === "scores"
          ? onRamp(((value[0] ?? NaN) - paint.low) / (paint.high - paint.low), paint.ramp)
          : [value[0] ?? 0, value[1] ?? 0, value[2] ?? 0];
    colours.set(colour ?? GREY, 3 * row);
    row += 1;
  }
  return colours;
}

function onRamp(share: number, ramp: readonly string[]): Colour | undefined {
  if (Number.isNaN(share)) return undefined;
  const at = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const [one, other] = [rgb(ramp[Math.floor(at)] ?? "#808080"), rgb(ramp[Math.ceil(at)] ?? "#808080")];
  const mix = (k: 0 | 1 | 2) => one[k] + (other[k] - one[k]) * (at - Math.floor(at));
  return [mix(0), mix(1), mix(2)];
}

/** How many points there are of each kind, and how many of these are chosen: what the picture says, in numbers. */
export function kindCounts(
  kinds: Kinds,
  chosen: Int32Array,
): readonly { name: string; colour: string; count: number; chosen: number }[] {
  const counts = kinds.names.map(() => 0);
  const among = kinds.names.map(() => 0);
  for (const kind of kinds.of) if (kind >= 0) counts[kind] = (counts[kind] ?? 0) + 1;
  for (const row of chosen) {
    const kind = kinds.of[row] ?? -1;
    if (kind >= 0) among[kind] = (among[kind] ?? 0) + 1;
  }
  return kinds.names.map((name, index) => ({
    name,
    colour: kinds.colours[index] ?? "#808080",
    count: counts[index] ?? 0,
    chosen: among[index] ?? 0,
  }));
}
