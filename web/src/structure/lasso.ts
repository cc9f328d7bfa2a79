/** Which (n, 2) points lie inside a ring of corners, by the even-odd rule: indices in order. */
export function lasso(points: Float32Array, ring: readonly (readonly [number, number])[]): Int32Array {
  const found: number[] = [];
  if (ring.length < 3) return new Int32Array(0);
  for (let i = 0; i < points.length / 2; i++) {
    const x = points[2 * i] as number;
    const y = points[2 * i + 1] as number;
    let inside = false;
    let [ax, ay] = ring[ring.length - 1] as readonly [number, number];
    for (const [bx, by] of ring) {
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
      [ax, ay] = [bx, by];
    }
    if (inside) found.push(i);
  }
  return Int32Array.from(found);
}
