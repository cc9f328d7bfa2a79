// What the page asks its workers.
import type { Area, Window } from "../geo";
import type { Head } from "../heads";
import type { Query, StoreAddress } from "./types";

export type Place = { readonly window: Window; readonly at: readonly number[] }; // pixels of a window, row by row

/** How three numbers of a pixel become a colour: dot(axis, code) x factor x scale - shift, stretched from low to high. */
export interface Colouring {
  readonly axes: Int16Array; // (3, dims)
  readonly factor: readonly number[]; // of a step of the axes
  readonly shift: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}

export interface LoadedWindow {
  readonly window: Window;
  readonly inside: number; // pixels of the area
  readonly valid: number; // of these with data
  readonly bytes: number;
}

export interface Rows {
  readonly codes: Int8Array<ArrayBuffer>;
  readonly scales: Float32Array<ArrayBuffer>;
}

/** A type, not an interface: it must fit `Calls`. */
export type WorkerCalls = {
  start: { args: { limit: number; kernels: "wasm" | "js" | undefined }; part: never; result: "wasm" | "js" };
  open: { args: { address: StoreAddress }; part: never; result: null };
  load: {
    args: { loaded: number; area: Area; windows: readonly Window[]; year: number; dims: number };
    part: LoadedWindow;
    result: null;
  };
  classify: {
    args: { loaded: number; head: Head };
    part: { window: Window; classes: Uint8Array<ArrayBuffer>; confidence: Uint8Array<ArrayBuffer> };
    result: null;
  };
  score: {
    args: { loaded: number; query: Query };
    part: { window: Window; scores: Float32Array<ArrayBuffer> };
    result: null;
  };
  distances: {
    args: { loaded: number; other: number };
    part: { window: Window; scores: Float32Array<ArrayBuffer> };
    result: null;
  };
  colours: {
    args: { loaded: number; colouring: Colouring };
    part: { window: Window; rgba: Uint8ClampedArray<ArrayBuffer> };
    result: null;
  };
  /** The axes and the stretch of sampled vectors. */
  colouring: {
    args: { dims: number; rows: Rows; how: "principal" | readonly [number, number, number] };
    part: never;
    result: Colouring;
  };
  /** Rows of pixels, place by place in order. */
  gather: { args: { loaded: number; places: readonly Place[] }; part: never; result: Rows };
  /** Valid pixels by their rank: the n-th valid pixel of a window; where they are, and their rows. */
  pick: {
    args: { loaded: number; picks: readonly { window: Window; ranks: readonly number[] }[] };
    part: never;
    result: Rows & { at: Int32Array<ArrayBuffer> };
  };
  release: { args: { loaded: number }; part: never; result: null };
};
