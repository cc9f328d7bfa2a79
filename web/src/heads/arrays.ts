import type { Head, HeadArray } from "./types";
import { refuse, shown } from "./values";

type Data = { int8: Int8Array; int16: Int16Array; int32: Int32Array; float32: Float32Array; float64: Float64Array };
type Arrays = Head["arrays"];

/** The array of this name, if it has this dtype and shape and all its numbers are finite. */
export function take<T extends keyof Data>(arrays: Arrays, name: string, dtype: T, shape: readonly number[]): Data[T] {
  const found = arrays[name];
  const said = found ? `${found.dtype} ${shown(found.shape)}` : "missing";
  const same = found?.dtype === dtype && found.shape.join() === shape.join();
  if (!same || !isFinite(found)) return refuse(`${name} ${said}; expected finite ${dtype} ${shown(shape)}`);
  return found.data as Data[T]; // unpack made it by the dtype
}

/** How long the first axis of an array is; -1 where there is none. */
export function lengthOf(arrays: Arrays, name: string): number {
  return arrays[name]?.shape[0] ?? -1;
}

function isFinite(array: HeadArray): boolean {
  if (array.dtype !== "float32" && array.dtype !== "float64") return true;
  for (const value of array.data) if (!Number.isFinite(value)) return false;
  return true;
}

/** Refuse arrays of other names. */
export function named(arrays: Arrays, names: readonly string[]): void {
  const found = Object.keys(arrays).sort().join(", ");
  if (found !== [...names].sort().join(", ")) refuse(`arrays ${found || "none"}; expected ${names.join(", ")}`);
}

/** Classes of labels as int32, each one of 0 to `classes` - 1; or their numbers. */
export function targetOf(arrays: Arrays, count: number, classes: number): Int32Array | Float64Array {
  if (!classes) return take(arrays, "target", "float64", [count]);
  const found = arrays["target"];
  if (found?.dtype !== "int64" || !(found.data instanceof BigInt64Array) || found.shape.join() !== String(count)) {
    return refuse(`target ${found?.dtype ?? "missing"} ${shown(found?.shape)}; expected int64 [${count}]`);
  }
  const most = BigInt(classes);
  if (found.data.some((one) => one < 0n || one >= most))
    return refuse(`a label of no class; expected 0 to ${classes - 1}`);
  return Int32Array.from(found.data, Number);
}
