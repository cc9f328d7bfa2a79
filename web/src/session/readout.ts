import { metresAt, pixelAt, type LonLat } from "../geo";
import { CHANGE } from "./change";
import { valueAt } from "./layers";
import type { Session } from "./session.svelte";

export interface Readout {
  readonly degrees: string;
  readonly zone: number;
  readonly metres: string;
  readonly row: number;
  readonly col: number;
  readonly values: readonly (readonly [name: string, value: string])[];
}

/** What is known of a place, in words and numbers. */
export function readout(session: Session, at: LonLat): Readout | undefined {
  if (Math.abs(at[1]) > 84) return undefined;
  const pixel = pixelAt(at);
  const [x, y] = metresAt(pixel.row + 0.5, pixel.col + 0.5).map((each) => Math.round(each).toLocaleString("en"));
  const values = session.layers.flatMap((layer): [string, string][] => {
    if (!layer.visible || layer.paint.kind === "rgba") return [];
    const value = valueAt(layer, pixel)?.[0];
    if (value === undefined || Number.isNaN(value)) return [];
    if (layer.paint.kind === "scores") return [[layer.id === CHANGE ? "Distance" : "Cosine", value.toFixed(3)]];
    const name = session.classifying.fitted?.head.classes[value];
    return name === undefined ? [] : [[layer.title, name]];
  });
  return {
    degrees: `${at[1].toFixed(5)}, ${at[0].toFixed(5)}`,
    zone: pixel.zone,
    metres: `${x} E ${y} N`,
    row: pixel.row,
    col: pixel.col,
    values,
  };
}
