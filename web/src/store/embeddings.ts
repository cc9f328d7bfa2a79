// A store of any layout once its documents are read: what is asked of it, and where that lies.
import { PageError, type Running } from "../base";
import {
  checkWindow,
  cover,
  pixelAt,
  zoneOf,
  type Area,
  type Box,
  type LonLat,
  type Pixel,
  type Raster,
  type Window,
} from "../geo";
import { SCALES } from "./layout";
import { isValid, type Extent, type Source } from "./source";
import type { Overviews } from "./overviews";
import type { Block, Model, Store } from "./types";

/** Degrees from a zone's border within which the neighbour's pixel serves where the zone's own has no data. */
const SEAM = 0.1;
const SIDE = 256;

/** What the documents of a store say. */
export interface Parts {
  readonly name: string;
  readonly identity: string;
  readonly etag: string | undefined;
  readonly model: Model;
  readonly years: readonly number[]; // ascending
  readonly zones: ReadonlyMap<number, readonly Extent[]>;
  readonly source: Source;
  /** Position of a year on the time axis of a group: undefined is no axis, null no such year there. */
  timeOf(extent: Extent, year: number, running: Running): Promise<number | undefined | null>;
  extent(running: Running): Promise<readonly Box[]>;
  overviews?: Overviews;
}

export class EmbeddingStore implements Store {
  readonly #parts: Parts;
  readonly name: string;
  readonly identity: string;
  readonly model: Model;
  readonly years: readonly number[];
  readonly zones: readonly number[];
  readonly etag: string | undefined;
  readonly preview?: NonNullable<Store["preview"]>;
  readonly means?: NonNullable<Store["means"]>;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.name = parts.name;
    this.identity = parts.identity;
    this.model = parts.model;
    this.years = parts.years;
    this.zones = [...parts.zones.keys()].sort((a, b) => a - b);
    this.etag = parts.etag;
    const { overviews } = parts;
    if (overviews === undefined) return;
    this.preview = (area, year, width, running = {}) => overviews.preview(area, year, width, running);
    this.means = (area, year, level, running = {}) => overviews.means(area, year, level, running);
  }

  extent(running: Running = {}): Promise<readonly Box[]> {
    return this.#parts.extent(running);
  }

  plan(area: Area, side = SIDE): readonly Window[] {
    const windows = cover(area, side, (zone) => (this.#parts.zones.get(zone) ?? []).map(rasterOf));
    if (windows.length === 0 && cover(area, side, () => [{ unit: 32, row: 0, col: 0 }]).length === 0) {
      throw new PageError("input", "the area holds no centre of a pixel of 10 m; expected a larger one");
    }
    return windows;
  }

  async read(window: Window, year: number, dims = this.model.dims, running: Running = {}): Promise<Block> {
    checkWindow(window);
    const extents = await this.#extents(window.zone, year, running);
    return this.#parts.source.read(window, extents, this.#array(dims), dims, running);
  }

  async points(
    points: readonly LonLat[],
    year: number,
    dims = this.model.dims,
    running: Running = {},
  ): Promise<readonly (Block & { pixel: Pixel })[]> {
    const pixels = points.map((point) => pixelAt(checkPoint(point)));
    const found = await this.#pixels(pixels, year, dims, running);
    // near a border a place may be kept in the neighbouring zone only
    const seams = points.flatMap((point, k) => {
      const other = neighbour(point[0]);
      const scale = found[k]?.scales[0] ?? NaN;
      return other !== undefined && !isValid(scale) && this.#parts.zones.has(other) ? [{ k, point, other }] : [];
    });
    const second = await this.#pixels(seams.map(({ point, other }) => pixelAt(point, other)), year, dims, running); // prettier-ignore
    seams.forEach(({ k }, n) => {
      const block = second[n];
      if (block && isValid(block.scales[0] ?? NaN)) found[k] = block;
    });
    return found;
  }

  async #pixels(pixels: readonly Pixel[], year: number, dims: number, running: Running) {
    const out: (Block & { pixel: Pixel })[] = [];
    const array = this.#array(dims);
    for (const zone of new Set(pixels.map((pixel) => pixel.zone))) {
      const extents = await this.#extents(zone, year, running);
      const numbers = pixels.flatMap((pixel, k) => (pixel.zone === zone ? [k] : []));
      const mine = numbers.flatMap((k) => pixels[k] ?? []);
      const blocks = await this.#parts.source.points(mine, extents, array, dims, running);
      blocks.forEach((block, n) => {
        const [k, pixel] = [numbers[n], mine[n]];
        if (k !== undefined && pixel) out[k] = { ...block, pixel };
      });
    }
    return out;
  }

  async #extents(zone: number, year: number, running: Running) {
    if (!this.years.includes(year)) {
      throw new PageError("input", `the store has no year ${year}; it has ${this.years.join(", ") || "none yet"}`);
    }
    const out: (readonly [Extent, number | undefined])[] = [];
    for (const extent of this.#parts.zones.get(zone) ?? []) {
      const time = await this.#parts.timeOf(extent, year, running);
      if (time !== null) out.push([extent, time]);
    }
    return out;
  }

  /** The smallest array that holds the first `dims` codes. */
  #array(dims: number): string {
    if (!this.model.prefixDims.includes(dims)) {
      const choices = this.model.prefixDims.join(", ");
      throw new PageError("input", `${dims} dims of ${this.model.name}; expected one of ${choices}`);
    }
    const [extents] = this.#parts.zones.values();
    const arrays = [...(extents?.[0]?.specs.values() ?? [])].filter(({ spec }) => spec.name !== SCALES.name);
    const fit = arrays.filter(({ spec }) => spec.bands >= dims).sort((a, b) => a.spec.bands - b.spec.bands);
    return fit[0]?.spec.name ?? "embeddings";
  }
}

function rasterOf(extent: Extent): Raster {
  const { row, col } = extent.window;
  const unit = Math.max(...[...extent.specs.values()].map(({ form }) => form.chunk), 32);
  return { unit, row, col, limits: extent.window };
}

function checkPoint(point: LonLat): LonLat {
  const [lon, lat] = point;
  if (!(lon >= -180 && lon <= 180 && lat >= -80 && lat <= 84)) {
    throw new PageError("input", `a point at ${lon}, ${lat}; expected longitude -180 to 180 and latitude -80 to 84`);
  }
  return point;
}

/** The zone over the border that is within 0.1 degree. */
function neighbour(lon: number): number | undefined {
  const zone = zoneOf(lon);
  const west = 6 * zone - 186;
  if (lon - west <= SEAM) return ((zone + 58) % 60) + 1;
  return west + 6 - lon <= SEAM ? (zone % 60) + 1 : undefined;
}
