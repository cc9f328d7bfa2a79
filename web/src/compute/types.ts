import type { Running } from "../base";
import type { Area, Pixel, Window } from "../geo";
import type { About, Head, Samples, Settings } from "../heads";
import type { Block, Store } from "../store";
import type { Candidates, Labelled, Report, Suggestion, Task } from "../validation";

/** How a store is opened, in values that a worker can be given. */
export type StoreAddress =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "folder"; readonly handle: FileSystemDirectoryHandle }
  | {
      readonly kind: "files";
      readonly name: string;
      readonly files: readonly { readonly path: string; readonly file: File }[];
    }
  | { readonly kind: "zip"; readonly file: File };

/**
 * Blocks of pixels live in workers, each in one, and are computed where they are: a click sends a query or a head out
 * and gets one byte or one float a pixel back. Codes never cross to the page, but for pixels that are asked for.
 */
export interface Compute {
  readonly kernels: "wasm" | "js";
  open(address: StoreAddress, running?: Running): Promise<Store>;
  /** Blocks of an area and a year, read into the workers, nearest to the centre first; what is there is not read again. */
  load(area: Area, year: number, dims: number, running?: Running): Promise<Loaded>;
  close(): void;
}

export interface Loaded {
  readonly id: number;
  readonly area: Area;
  readonly year: number;
  readonly dims: number;
  readonly windows: readonly Window[];
  readonly pixels: number; // inside the area
  readonly valid: number; // with data
  readonly bytes: number; // in memory
  classify(head: Head, got: (part: ClassPart) => void, running?: Running): Promise<void>;
  /** (window) float32 scores, as `query` defines them; NaN is no data or outside. */
  score(query: Query, got: (part: ScorePart) => void, running?: Running): Promise<void>;
  /** (window) cosine distance to the same pixels of another year's area; NaN is no data in one of them, or outside. */
  distances(other: Loaded, got: (part: ScorePart) => void, running?: Running): Promise<void>;
  /**
   * False colours, one stretch for the area: three dims, or the principal axes of the area. With the axes and the
   * stretch of `like`, such as another year of it, the same vector has the same colour in both.
   */
  colours(
    how: "principal" | readonly [number, number, number],
    got: (part: ColourPart) => void,
    running?: Running,
    like?: Loaded,
  ): Promise<void>;
  gather(pixels: readonly Pixel[], running?: Running): Promise<Block>; // (n, 1) rows in the order asked
  sample(
    count: number,
    seed: number,
    running?: Running,
  ): Promise<{ readonly pixels: readonly Pixel[]; readonly rows: Block }>;
  release(): void; // its blocks may be dropped
}

export interface Query {
  readonly positive: { readonly codes: Int8Array; readonly scales: Float32Array };
  readonly negative: { readonly codes: Int8Array; readonly scales: Float32Array };
  readonly how: "cosine" | "best" | "contrast"; // to the mean of positives; to the best of them; 2 x positives - negatives
}

export interface ClassPart {
  readonly window: Window;
  readonly classes: Uint8Array<ArrayBuffer>; // index of the class, 255 no data or outside
  readonly confidence: Uint8Array<ArrayBuffer>; // 0 to 254; 255 no data
}
export interface ScorePart {
  readonly window: Window;
  readonly scores: Float32Array<ArrayBuffer>;
}
export interface ColourPart {
  readonly window: Window;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** What learns runs in a worker too. */
export interface Learning {
  fit(samples: Samples, head: string, about: About, settings: Settings, seed: number, running?: Running): Promise<Head>;
  /** Predictions of labels by heads of other blocks of land, and their scores. */
  validate(task: Task, running?: Running): Promise<Report>;
  /** Where the next labels help most, the most useful first. */
  suggest(question: SuggestQuestion, running?: Running): Promise<readonly Suggestion[]>;
  close(): void;
}

export interface SuggestQuestion {
  readonly candidates: Omit<Candidates, "unsure">; // such as `Loaded.sample` gives
  readonly labelled: Labelled;
  readonly head?: Head; // whose uncertainty counts; without one all candidates count the same
  readonly count: number;
  readonly spacing?: number; // metres between two of them, and to a label; 100 if absent
}
