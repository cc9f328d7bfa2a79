// What a worker does: reads its blocks, keeps them, and computes where they are.
import { Pauses, PageError, inParallel } from "../base";
import { distances } from "../changes";
import { partsOf } from "../geo";
import { predictor } from "../heads";
import { loadKernels, type Kernels } from "../kernels";
import { prepare, score } from "../search";
import { isValid, openStore, type Store } from "../store";
import { filesOf } from "./address";
import { around, cut, rowsOf, type Wanted } from "./blocks";
import type { LoadedWindow, Rows, WorkerCalls } from "./calls";
import { colouringOf, paint } from "./colours";
import { House, bytesOf, nameOf, type Held } from "./house";
import type { Handlers, Job } from "./rpc";

const READS = 2; // rows of blocks under way at once
const SLICE = 8192; // pixels between two looks at messages

/** A block of a loaded area. */
interface Kept {
  readonly key: string;
  readonly held: Held;
  readonly inside: Uint8Array<ArrayBuffer> | undefined;
}

export function engine(): Handlers<WorkerCalls> {
  const house = new House(0);
  const loaded = new Map<number, Map<string, Kept>>();
  let kernels: Kernels | undefined;
  let store: Store | undefined;

  const keptOf = (id: number): Iterable<Kept> => loaded.get(id)?.values() ?? [];
  const kernelsHere = (): Kernels => {
    if (kernels === undefined) throw new Error("the worker was not started");
    return kernels;
  };

  function release(id: number): void {
    for (const { key } of keptOf(id)) house.give(key);
    loaded.delete(id);
  }

  /** Blocks side by side, in one read: fewer and longer requests. */
  async function read(row: readonly Wanted[], year: number, dims: number, signal: AbortSignal): Promise<Held[]> {
    const here = row.map(({ key }) => house.take(key));
    const lacking = row.filter((_, k) => here[k] === undefined);
    if (lacking.length > 0) {
      const found: Held[] = [];
      try {
        for (const run of rowsOf(lacking)) found.push(...(await fetchBlocks(run, year, dims, signal)));
      } catch (error) {
        here.forEach((held, k) => held && house.give(row[k]?.key ?? ""));
        lacking.slice(0, found.length).forEach(({ key }) => house.give(key));
        throw error;
      }
      let next = 0;
      here.forEach((held, k) => (here[k] = held ?? found[next++]));
    }
    return here.flatMap((held) => held ?? []);
  }

  async function fetchBlocks(row: readonly Wanted[], year: number, dims: number, signal: AbortSignal): Promise<Held[]> {
    if (store === undefined) throw new PageError("input", "no store is open; expected one");
    const bytes = row.reduce((sum, { window }) => sum + bytesOf(window, dims), 0);
    house.reserve(bytes);
    try {
      const block = await store.read(around(row.map((each) => each.window)), year, dims, { signal });
      return row.map(({ key, window }) => {
        const part = row.length === 1 ? block : cut(block, window);
        const held = { ...part, valid: part.scales.reduce((sum, scale) => sum + (isValid(scale) ? 1 : 0), 0) };
        return house.put(key, held);
      });
    } finally {
      house.settle(bytes);
    }
  }

  return {
    async start({ limit, kernels: wanted }) {
      house.limit = limit;
      kernels = await loadKernels(wanted);
      return kernels.name;
    },

    async open({ address }, { signal }) {
      for (const id of [...loaded.keys()]) release(id);
      house.clear();
      store = undefined;
      store = await openStore(await filesOf(address), { signal });
      return null;
    },

    async load({ loaded: id, area, windows, year, dims }, job) {
      const blocks = new Map<string, Kept>();
      loaded.set(id, blocks);
      const parts = new Map(partsOf(area).map((part) => [part.zone, part]));
      try {
        const wanted = windows.map((window) => ({ window, key: `${year} ${dims} ${nameOf(window)}` }));
        await inParallel(rowsOf(wanted), READS, async (row) => {
          job.signal.throwIfAborted();
          const held = await read(row, year, dims, job.signal);
          row.forEach(({ key, window }, k) => {
            const block = held[k];
            if (block === undefined) return;
            if (loaded.get(id) !== blocks) {
              house.give(key); // released meanwhile
              return;
            }
            const kept = { key, held: block, inside: parts.get(window.zone)?.mask(window) };
            blocks.set(nameOf(window), kept);
            job.part(about(kept));
          });
        });
      } catch (error) {
        release(id);
        throw error;
      }
      return null;
    },

    async classify({ loaded: id, head }, job) {
      const { classify } = predictor(head, kernelsHere());
      for (const { held, inside } of keptOf(id)) {
        const { window, codes, scales, dims } = held;
        const found = await classify([{ codes, scales, dims }], inside, { signal: job.signal });
        job.part({ window, ...found }, [found.classes.buffer, found.confidence.buffer]);
      }
      return null;
    },

    async score({ loaded: id, query }, job) {
      const pauses = new Pauses(job.signal);
      for (const { held, inside } of keptOf(id)) {
        const { window, codes, scales, dims } = held;
        const scoring = prepare(query, dims);
        const scores = new Float32Array(scales.length);
        for (let from = 0; from < scales.length; from += SLICE) {
          const end = Math.min(scales.length, from + SLICE);
          const [part, sizes] = [codes.subarray(from * dims, end * dims), scales.subarray(from, end)];
          scores.set(score(scoring, kernelsHere(), part, sizes, inside?.subarray(from, end)), from);
          await pauses.maybe();
        }
        job.part({ window, scores }, [scores.buffer]);
      }
      return null;
    },

    async distances({ loaded: id, other }, job) {
      const pauses = new Pauses(job.signal);
      for (const { held, inside } of keptOf(id)) {
        const then = loaded.get(other)?.get(nameOf(held.window))?.held;
        // a window that the other year lacks is no data
        const scores = then
          ? distances(held, then, kernelsHere(), inside)
          : new Float32Array(held.scales.length).fill(NaN);
        job.part({ window: held.window, scores }, [scores.buffer]);
        await pauses.maybe();
      }
      return null;
    },

    async colours({ loaded: id, colouring }, job) {
      const pauses = new Pauses(job.signal);
      for (const { held, inside } of keptOf(id)) {
        const rgba = paint(held, inside, colouring, kernelsHere());
        job.part({ window: held.window, rgba }, [rgba.buffer]);
        await pauses.maybe();
      }
      return null;
    },

    async colouring({ dims, rows, how }) {
      return colouringOf({ dims, ...rows }, how);
    },

    async gather({ loaded: id, places }, _: Job<never>) {
      const blocks = loaded.get(id);
      const total = places.reduce((sum, { at }) => sum + at.length, 0);
      const rows = emptyRows(total, [...(blocks?.values() ?? [])][0]?.held.dims ?? 1);
      let row = 0;
      for (const { window, at } of places) {
        const held = blocks?.get(nameOf(window))?.held;
        for (const pixel of at) copyRow(held, pixel, rows, row++);
      }
      return rows;
    },

    async pick({ loaded: id, picks }) {
      const blocks = loaded.get(id);
      const total = picks.reduce((sum, { ranks }) => sum + ranks.length, 0);
      const rows = emptyRows(total, [...(blocks?.values() ?? [])][0]?.held.dims ?? 1);
      const at = new Int32Array(total);
      let row = 0;
      for (const { window, ranks } of picks) {
        const kept = blocks?.get(nameOf(window));
        const places = kept ? validPixels(kept) : new Int32Array(0);
        for (const rank of ranks) {
          at[row] = places[rank] ?? -1;
          copyRow(kept?.held, at[row] ?? -1, rows, row++);
        }
      }
      return { ...rows, at };
    },

    async release({ loaded: id }) {
      release(id);
      return null;
    },
  };
}

function about({ held, inside }: Kept): LoadedWindow {
  const { window, dims, scales } = held;
  const size = scales.length;
  const bytes = bytesOf(window, dims);
  if (inside === undefined) return { window, inside: size, valid: held.valid, bytes };
  let [count, valid] = [0, 0];
  for (let k = 0; k < size; k++) {
    if (inside[k] === 0) continue;
    count++;
    if (isValid(scales[k] ?? NaN)) valid++;
  }
  return { window, inside: count, valid, bytes };
}

function validPixels({ held: { scales }, inside }: Kept): Int32Array {
  const found: number[] = [];
  for (let k = 0; k < scales.length; k++) {
    if (inside?.[k] !== 0 && isValid(scales[k] ?? NaN)) found.push(k);
  }
  return Int32Array.from(found);
}

function emptyRows(count: number, dims: number): Rows {
  return { codes: new Int8Array(count * dims), scales: new Float32Array(count).fill(Infinity) };
}

function copyRow(held: Held | undefined, pixel: number, rows: Rows, row: number): void {
  if (held === undefined || pixel < 0 || pixel >= held.scales.length) return;
  rows.scales[row] = held.scales[pixel] ?? Infinity;
  rows.codes.set(held.codes.subarray(pixel * held.dims, (pixel + 1) * held.dims), row * held.dims);
}
