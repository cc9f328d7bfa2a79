import { contains, type Pixel } from "../geo";
import type { RasterLayer, Tile } from "../map";

export type Layers = readonly RasterLayer[];

/** With a layer in the place of the one of the same id, else on top. What the user set of it (seen, opacity) stays. */
export function putLayer(layers: Layers, layer: RasterLayer): Layers {
  const old = layers.find((each) => each.id === layer.id);
  if (!old) return [...layers, layer];
  const kept = { ...layer, visible: old.visible, opacity: old.opacity, side: old.side };
  return layers.map((each) => (each === old ? kept : each));
}

export function changeLayer(layers: Layers, id: string, change: Partial<Omit<RasterLayer, "id">>): Layers {
  return layers.map((each) => (each.id === id ? { ...each, ...change } : each));
}

export function addTiles(layers: Layers, id: string, tiles: readonly Tile[]): Layers {
  return layers.map((each) => (each.id === id ? { ...each, tiles: [...each.tiles, ...tiles] } : each));
}

export function dropLayer(layers: Layers, id: string): Layers {
  return layers.filter((each) => each.id !== id);
}

/** One up is nearer to the eye. */
export function moveLayer(layers: Layers, id: string, by: 1 | -1): Layers {
  const at = layers.findIndex((each) => each.id === id);
  const [one, other] = [layers[at], layers[at + by]];
  if (!one || !other) return layers;
  return layers.map((each) => (each === one ? other : each === other ? one : each));
}

/** The values of a layer at a pixel: one, or four of a colour. */
export function valueAt(layer: RasterLayer, pixel: Pixel): readonly number[] | undefined {
  const tile = layer.tiles.find((each) => contains(each.window, pixel));
  if (!tile) return undefined;
  const { window, step, data } = tile;
  const width = Math.floor(window.width / step);
  const height = Math.floor(window.height / step);
  const channels = data.length / (width * height);
  const [i, j] = [Math.floor((pixel.col - window.col) / step), Math.floor((pixel.row - window.row) / step)];
  const at = (j * width + i) * channels;
  return i < width && j < height ? Array.from(data.subarray(at, at + channels)) : undefined;
}

/** How many values of a layer are at or above a threshold. NaN is none. */
export function countAbove(layer: RasterLayer | undefined, threshold: number): number {
  let count = 0;
  for (const { data } of layer?.tiles ?? [])
    for (let index = 0; index < data.length; index += 1) if ((data[index] ?? NaN) >= threshold) count += 1;
  return count;
}
