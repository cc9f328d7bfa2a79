import type { Paint } from "./types";

function part(colour: string, shift: number): number {
  return (parseInt(colour.slice(1), 16) >> shift) & 255;
}

/** 256 RGBA colours: of a ramp evenly between its stops, of classes one each and the rest clear. */
export function table(paint: Exclude<Paint, { kind: "rgba" }>): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(256 * 4);
  const stops = paint.kind === "classes" ? paint.colours : paint.ramp;
  for (let index = 0; index < 256; index += 1) {
    const place = paint.kind === "classes" ? index : (index / 255) * (stops.length - 1);
    const [low, high] = [stops[Math.floor(place)], stops[Math.ceil(place)]];
    if (low === undefined || high === undefined) continue;
    const share = place - Math.floor(place);
    [16, 8, 0].forEach((shift, channel) => {
      result[index * 4 + channel] = Math.round(part(low, shift) * (1 - share) + part(high, shift) * share);
    });
    result[index * 4 + 3] = 255;
  }
  return result;
}
