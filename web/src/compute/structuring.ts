// Pictures of vectors and groups of them, in a worker of their own: they take seconds, and blocks must answer meanwhile.
import type { Running } from "../base";
import { loadKernels } from "../kernels";
import {
  kmeans,
  principalAxes,
  project,
  umap,
  type Clusters,
  type Picture,
  type Rows,
  type UmapSettings,
} from "../structure";
import { Caller, type Handlers, type Port } from "./rpc";

export type StructureCalls = {
  principal: { args: { rows: Rows }; part: never; result: Float32Array<ArrayBuffer> };
  umap: { args: { rows: Rows; settings: UmapSettings }; part: Picture; result: null };
  kmeans: { args: { rows: Rows; groups: number; seed: number }; part: never; result: Clusters };
};

/** Structure of vectors that hold data; see the room `structure/`. */
export interface Structure {
  principal(rows: Rows, running?: Running): Promise<Float32Array>;
  /** Pictures as they take shape; the last one is the result. */
  umap(rows: Rows, settings: UmapSettings, got: (picture: Picture) => void, running?: Running): Promise<void>;
  kmeans(rows: Rows, groups: number, seed?: number, running?: Running): Promise<Clusters>;
  close(): void;
}

export function structureCalls(): Handlers<StructureCalls> {
  return {
    async principal({ rows }) {
      return project(rows, principalAxes(rows, 2));
    },
    async umap({ rows, settings }, { signal, progress, part }) {
      for await (const picture of umap(rows, await loadKernels(), settings, { signal, progress })) {
        part(picture, [picture.points.buffer]);
      }
      return null;
    },
    async kmeans({ rows, groups, seed }, { signal, progress }) {
      return kmeans(rows, groups, await loadKernels(), seed, 12, { signal, progress });
    },
  };
}

interface Hand extends Port {
  terminate(): void;
}

/** Start the worker of the structure panel. */
export function startStructure(spawn: () => Hand = spawnStructure): Structure {
  const hand = spawn();
  const caller = new Caller<StructureCalls>(hand);
  return {
    principal: (rows, running = {}) => caller.call("principal", { rows }, running),
    umap: async (rows, settings, got, running = {}) => {
      await caller.call("umap", { rows, settings }, { ...running, part: got });
    },
    kmeans: (rows, groups, seed = 0, running = {}) => caller.call("kmeans", { rows, groups, seed }, running),
    close: () => {
      hand.terminate();
      caller.break("the structure panel was closed");
    },
  };
}

function spawnStructure(): Hand {
  return new Worker(new URL("./structure.worker.ts", import.meta.url), { type: "module", name: "structure" });
}
