import type { LonLat, Pixel } from "../geo";
import type { Rows } from "../structure";

export type PictureKind = "axes" | "umap";
export type PointColours = "colour" | "class" | "score" | "label" | "group";

/** Pixels that stand for an area, with their vectors. */
export interface Sampled {
  readonly year: number;
  readonly pixels: readonly Pixel[];
  readonly places: readonly LonLat[]; // of their centres
  readonly rows: Rows;
  readonly of: number; // pixels with data in the area
}

/** A picture of the sample: where each pixel lies, and how far it is. */
export interface Drawing {
  readonly points: Float32Array; // (n, 2)
  readonly epoch: number;
  readonly epochs: number; // 0 where there is nothing to wait for
}

const NONE = new Int32Array(0);

/** What the Structure panel shows: a sample of the area in two dims, what is chosen of it, and its groups. */
export class Structuring {
  wanted = $state(5_000); // pixels
  how = $state<PictureKind>("axes");
  colouring = $state<PointColours>("colour");
  k = $state(6); // groups
  sample = $state.raw<Sampled | undefined>();
  drawings = $state.raw<Readonly<Partial<Record<PictureKind, Drawing>>>>({});
  chosen = $state.raw<Int32Array>(NONE); // rows of the sample
  cluster = $state(false); // a group of k-means is what was chosen
  member = $state.raw<Int32Array | undefined>(); // the group of each row
  groups = $state(0);
  readonly drawing: Drawing | undefined = $derived(this.drawings[this.how] ?? this.drawings.axes);

  clear(): void {
    [this.sample, this.drawings, this.chosen, this.cluster] = [undefined, {}, NONE, false];
    [this.member, this.groups, this.how] = [undefined, 0, "axes"];
    if (this.colouring === "group") this.colouring = "colour";
  }
}
