// An area that the workers hold.
import { PageError, type Running } from "../base";
import { contains, lonLatOf, type Area, type Pixel, type Window } from "../geo";
import type { Head } from "../heads";
import type { Block, Store } from "../store";
import { Random } from "../structure";
import type { LoadedWindow, Rows } from "./calls";
import type { Pool } from "./pool";
import type { ClassPart, ColourPart, Loaded, Query, ScorePart } from "./types";

const COLOUR_SAMPLE = 20_000;
const GRID = 256;

export interface About {
  readonly id: number;
  readonly area: Area;
  readonly year: number;
  readonly dims: number;
  readonly windows: readonly LoadedWindow[];
}

export class LoadedArea implements Loaded {
  readonly id: number;
  readonly area: Area;
  readonly year: number;
  readonly dims: number;
  readonly windows: readonly Window[];
  readonly pixels: number;
  readonly valid: number;
  readonly bytes: number;
  readonly #about: About;
  readonly #pool: Pool;
  readonly #store: Store;
  readonly #grid = new Map<string, Window[]>();
  #isReleased = false;

  constructor(about: About, pool: Pool, store: Store) {
    this.#about = about;
    this.#pool = pool;
    this.#store = store;
    ({ id: this.id, area: this.area, year: this.year, dims: this.dims } = about);
    const sum = (of: (window: LoadedWindow) => number) => about.windows.reduce((all, window) => all + of(window), 0);
    this.windows = about.windows.map(({ window }) => window);
    this.pixels = sum(({ inside }) => inside);
    this.valid = sum(({ valid }) => valid);
    this.bytes = sum(({ bytes }) => bytes);
    for (const window of this.windows) {
      for (let row = Math.floor(window.row / GRID); row * GRID < window.row + window.height; row++) {
        for (let col = Math.floor(window.col / GRID); col * GRID < window.col + window.width; col++) {
          const name = `${window.zone} ${row} ${col}`;
          this.#grid.set(name, [...(this.#grid.get(name) ?? []), window]);
        }
      }
    }
  }

  async classify(head: Head, got: (part: ClassPart) => void, running: Running = {}): Promise<void> {
    const part = this.#counting(got, running);
    await this.#pool.each(running, (caller, options) =>
      caller.call("classify", { ...this.#mine(), head }, { ...options, part }),
    );
  }

  async score(query: Query, got: (part: ScorePart) => void, running: Running = {}): Promise<void> {
    const part = this.#counting(got, running);
    await this.#pool.each(running, (caller, options) =>
      caller.call("score", { ...this.#mine(), query }, { ...options, part }),
    );
  }

  async distances(other: Loaded, got: (part: ScorePart) => void, running: Running = {}): Promise<void> {
    if (other.dims !== this.dims) {
      throw new PageError("input", `vectors of ${this.dims} and ${other.dims} dims; expected the same in both years`);
    }
    const part = this.#counting(got, running);
    await this.#pool.each(running, (caller, options) =>
      caller.call("distances", { ...this.#mine(), other: other.id }, { ...options, part }),
    );
  }

  async colours(
    how: "principal" | readonly [number, number, number],
    got: (part: ColourPart) => void,
    running: Running = {},
    like: Loaded = this,
  ): Promise<void> {
    if (how !== "principal" && !how.every((dim) => Number.isInteger(dim) && dim >= 0 && dim < this.dims)) {
      throw new PageError("input", `colours of the dims ${how.join(", ")}; expected three from 0 to ${this.dims - 1}`);
    }
    const signal = running.signal ? { signal: running.signal } : {};
    const { rows } = await like.sample(COLOUR_SAMPLE, 1, signal);
    const [caller] = this.#pool.callers;
    if (caller === undefined) return;
    const { codes, scales } = rows;
    const colouring = await caller.call("colouring", { dims: this.dims, rows: { codes, scales }, how }, signal);
    const part = this.#counting(got, running);
    await this.#pool.each(running, (caller, options) =>
      caller.call("colours", { ...this.#mine(), colouring }, { ...options, part }),
    );
  }

  async gather(pixels: readonly Pixel[], running: Running = {}): Promise<Block> {
    const places = new Map<Window, { window: Window; at: number[]; rows: number[] }>();
    const elsewhere: number[] = [];
    pixels.forEach((pixel, row) => {
      const window = this.#windowOf(pixel);
      if (window === undefined) {
        elsewhere.push(row);
        return;
      }
      const place = places.get(window) ?? { window, at: [], rows: [] };
      place.at.push((pixel.row - window.row) * window.width + pixel.col - window.col);
      place.rows.push(row);
      places.set(window, place);
    });
    const out = this.#block(pixels.length);
    const split = this.#pool.split([...places.values()], ({ window }) => window);
    const found = await this.#pool.each(running, (caller, options, number) => {
      const mine = split[number] ?? [];
      const asked = { ...this.#mine(), places: mine.map(({ window, at }) => ({ window, at })) };
      return mine.length > 0 ? caller.call("gather", asked, options) : undefined;
    });
    found.forEach((rows, number) => {
      const order = (split[number] ?? []).flatMap((place) => place.rows);
      if (rows) order.forEach((row, k) => copyRow(rows, k, out, row));
    });
    // labels may lie beyond what is loaded
    const points = elsewhere.flatMap((row) => pixels[row] ?? []).map(lonLatOf);
    const blocks = points.length > 0 ? await this.#store.points(points, this.year, this.dims, running) : [];
    blocks.forEach((block, k) => copyRow(block, 0, out, elsewhere[k] ?? 0));
    return out;
  }

  async sample(count: number, seed: number, running: Running = {}): Promise<{ pixels: Pixel[]; rows: Block }> {
    // in the order of places, so that the same pixels are drawn in whatever order blocks came
    const order = [...this.#about.windows].sort(
      ({ window: a }, { window: b }) => a.zone - b.zone || a.row - b.row || a.col - b.col,
    );
    const drawn = new Random(seed).choose(count, this.valid).sort();
    const picks: { window: Window; ranks: number[] }[] = [];
    let [from, next] = [0, 0];
    for (const { window, valid } of order) {
      const ranks: number[] = [];
      for (; next < drawn.length && (drawn[next] ?? 0) < from + valid; next++) ranks.push((drawn[next] ?? 0) - from);
      if (ranks.length > 0) picks.push({ window, ranks });
      from += valid;
    }
    const split = this.#pool.split(picks, ({ window }) => window);
    const found = await this.#pool.each(running, (caller, options, number) => {
      const mine = split[number] ?? [];
      return mine.length > 0 ? caller.call("pick", { ...this.#mine(), picks: mine }, options) : undefined;
    });
    const starts = new Map<Window, number>();
    picks.reduce((row, { window, ranks }) => (starts.set(window, row), row + ranks.length), 0);
    const rows = this.#block(drawn.length);
    const pixels: Pixel[] = [];
    found.forEach((some, number) => {
      let k = 0;
      for (const { window, ranks } of split[number] ?? []) {
        const start = starts.get(window) ?? 0;
        ranks.forEach((_, n) => {
          const at = some?.at[k] ?? 0;
          const [down, right] = [Math.floor(at / window.width), at % window.width];
          pixels[start + n] = { zone: window.zone, row: window.row + down, col: window.col + right };
          if (some) copyRow(some, k, rows, start + n);
          k++;
        });
      }
    });
    return { pixels, rows };
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    for (const caller of this.#pool.callers)
      void caller.call("release", { loaded: this.#about.id }).catch(() => undefined);
  }

  #mine(): { loaded: number } {
    if (this.#isReleased) throw new PageError("input", "the area is no longer in memory; load it again");
    return { loaded: this.#about.id };
  }

  #block(count: number): Block {
    const window = { zone: this.windows[0]?.zone ?? 1, row: 0, col: 0, height: count, width: 1 };
    const scales = new Float32Array(count).fill(Infinity);
    return { window, dims: this.dims, codes: new Int8Array(count * this.dims), scales };
  }

  #windowOf(pixel: Pixel): Window | undefined {
    const near = this.#grid.get(`${pixel.zone} ${Math.floor(pixel.row / GRID)} ${Math.floor(pixel.col / GRID)}`);
    return near?.find((window) => contains(window, pixel));
  }

  #counting<Part extends { window: Window }>(got: (part: Part) => void, running: Running): (part: Part) => void {
    let done = 0;
    const total = this.windows.reduce((sum, { height, width }) => sum + height * width, 0);
    running.progress?.(0, total, "pixels");
    return (part) => {
      done += part.window.height * part.window.width;
      got(part);
      running.progress?.(done, total, "pixels");
    };
  }
}

function copyRow(from: Rows | Block, k: number, to: Block, row: number): void {
  const { dims } = to;
  to.scales[row] = from.scales[k] ?? Infinity;
  to.codes.set(from.codes.subarray(k * dims, (k + 1) * dims), row * dims);
}
