/** What of a picture is seen: the point in the middle of the canvas, and pixels a unit. */
export interface Sight {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

export type Corner = readonly [x: number, y: number];

const MARGIN = 0.92; // share of the canvas that the points take

/** All points seen. */
export function whole(points: Float32Array, width: number, height: number): Sight {
  let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at + 1 < points.length; at += 2) {
    const [x, y] = [points[at] ?? 0, points[at + 1] ?? 0];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [bottom, top] = [Math.min(bottom, y), Math.max(top, y)];
  }
  if (!(right >= left)) return { x: 0, y: 0, scale: 1 };
  const scale = MARGIN * Math.min(width / Math.max(right - left, 1e-6), height / Math.max(top - bottom, 1e-6));
  return { x: (left + right) / 2, y: (bottom + top) / 2, scale };
}

/** Closer by a factor, with one place of the canvas where it was. */
export function zoomed(sight: Sight, factor: number, at: Corner, width: number, height: number): Sight {
  const [x, y] = fromScreen(sight, at, width, height);
  const scale = Math.min(1e7, Math.max(1e-3, sight.scale * factor));
  return { scale, x: x - (at[0] - width / 2) / scale, y: y + (at[1] - height / 2) / scale };
}

export function moved(sight: Sight, dx: number, dy: number): Sight {
  return { ...sight, x: sight.x - dx / sight.scale, y: sight.y + dy / sight.scale };
}

export function fromScreen(sight: Sight, [px, py]: Corner, width: number, height: number): Corner {
  return [sight.x + (px - width / 2) / sight.scale, sight.y - (py - height / 2) / sight.scale];
}

export function toScreen(sight: Sight, [x, y]: Corner, width: number, height: number): Corner {
  return [(x - sight.x) * sight.scale + width / 2, height / 2 - (y - sight.y) * sight.scale];
}

const FADED = 60; // of 255: what is not chosen while something is
const FULL = 225;

/** Points as squares of a few pixels, what is chosen on top and larger. Straight into bytes: 20,000 take some ms. */
export function paintPoints(
  image: ImageData,
  points: Float32Array,
  colours: Uint8ClampedArray,
  chosen: Int32Array,
  sight: Sight,
  ratio: number, // device pixels a CSS pixel
): void {
  const { width, height } = image;
  const words = new Uint32Array(image.data.buffer);
  words.fill(0);
  const size = Math.max(2, Math.round((points.length > 12_000 ? 2 : 3) * ratio));
  const scale = sight.scale * ratio;
  const put = (row: number, side: number, alpha: number) => {
    const left = Math.round(((points[2 * row] ?? 0) - sight.x) * scale + width / 2 - side / 2);
    const top = Math.round(height / 2 - ((points[2 * row + 1] ?? 0) - sight.y) * scale - side / 2);
    if (left < 0 || top < 0 || left + side > width || top + side > height) return;
    const [red, green, blue] = [colours[3 * row] ?? 0, colours[3 * row + 1] ?? 0, colours[3 * row + 2] ?? 0];
    const word = ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    for (let y = top; y < top + side; y += 1) words.fill(word, y * width + left, y * width + left + side);
  };
  const alpha = chosen.length > 0 ? FADED : FULL;
  for (let row = 0; 2 * row < points.length; row += 1) put(row, size, alpha);
  for (const row of chosen) put(row, size + Math.round(ratio), 255);
}
