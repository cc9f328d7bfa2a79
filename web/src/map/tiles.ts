import { metresAt, toLonLat, type Window } from "../geo";

const STEPS = 8; // of the mesh along a side: between its corners UTM is straight in Mercator to a hundredth of a pixel

/** Mercator coordinates, 0 to 1 over the world, x to the east and y to the south. */
export function mercator(lon: number, lat: number): [x: number, y: number] {
  const sin = Math.sin((lat * Math.PI) / 180);
  return [(lon + 180) / 360, 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI)];
}

/** A window as a mesh in Mercator, relative to its corner and size, so that float32 holds it to a millimetre. */
export interface Mesh {
  readonly origin: readonly [number, number];
  readonly size: number;
  readonly vertices: Float32Array<ArrayBuffer>; // (n, 4) x, y, u, v
  readonly triangles: Uint16Array<ArrayBuffer>;
}

export function meshOf(window: Window, steps = STEPS): Mesh {
  const world = (u: number, v: number) => {
    const [x, y] = metresAt(window.row + v * window.height, window.col + u * window.width);
    return mercator(...toLonLat(x, y, window.zone));
  };
  const origin = world(0, 0);
  // on the far side of 180 degrees the world goes on, it does not begin again
  const at = (u: number, v: number): [number, number] => {
    const [x, y] = world(u, v);
    return [x - Math.round(x - origin[0]), y];
  };
  const far = at(1, 1);
  const size = Math.max(Math.abs(far[0] - origin[0]), Math.abs(far[1] - origin[1])) || 1e-9;
  const vertices: number[] = [];
  for (let j = 0; j <= steps; j += 1)
    for (let i = 0; i <= steps; i += 1) {
      const [x, y] = at(i / steps, j / steps);
      vertices.push((x - origin[0]) / size, (y - origin[1]) / size, i / steps, j / steps);
    }
  const triangles: number[] = [];
  for (let j = 0; j < steps; j += 1)
    for (let i = 0; i < steps; i += 1) {
      const a = j * (steps + 1) + i;
      const b = a + steps + 1;
      triangles.push(a, b, a + 1, a + 1, b, b + 1);
    }
  return { origin, size, vertices: new Float32Array(vertices), triangles: new Uint16Array(triangles) };
}

/** A 4 x 4 matrix (columns first) times the move to `origin` and the scale to `size`, in float64 until the end. */
export function placed(matrix: ArrayLike<number>, origin: readonly [number, number], size: number): Float32Array {
  const result = new Float32Array(16);
  for (let row = 0; row < 4; row += 1) {
    const [a, b, c, d] = [0, 4, 8, 12].map((column) => matrix[column + row] ?? 0);
    result[row] = (a ?? 0) * size;
    result[4 + row] = (b ?? 0) * size;
    result[8 + row] = c ?? 0;
    result[12 + row] = (a ?? 0) * origin[0] + (b ?? 0) * origin[1] + (d ?? 0);
  }
  return result;
}
