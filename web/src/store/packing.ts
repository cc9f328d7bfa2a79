// Packed chunks: what length they claim is checked before memory is taken for it. The codecs are loaded when met.
import { PageError } from "../base";

type Packer = "blosc" | "zstd" | "gzip";

/** Unpack bytes that must give `size` bytes. */
export async function unpack(
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
  packer: Packer,
  where: string,
): Promise<Uint8Array> {
  const claimed = packer === "blosc" ? bloscLength(bytes) : packer === "zstd" ? zstdLength(bytes) : undefined;
  if (packer !== "gzip" && claimed !== size) {
    throw new PageError("corrupt", `${where} claims ${claimed ?? "no number of"} bytes; expected ${size}`);
  }
  const out = packer === "gzip" ? await gunzip(bytes, size, where) : await decode(bytes, size, packer, where);
  if (out.length !== size) {
    throw new PageError("corrupt", `${where} unpacks to ${out.length} bytes; expected ${size}`);
  }
  return out;
}

async function decode(bytes: Uint8Array, size: number, packer: "blosc" | "zstd", where: string): Promise<Uint8Array> {
  try {
    if (packer === "zstd") return (await import("fzstd")).decompress(bytes, new Uint8Array(size));
    return await (await blosc()).decode(bytes);
  } catch (error) {
    throw new PageError("corrupt", `${where} cannot be unpacked`, { cause: error });
  }
}

type Blosc = { decode(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> };
let made: Promise<Blosc> | undefined;

function blosc(): Promise<Blosc> {
  made ??= import("numcodecs/blosc").then(({ default: codec }) =>
    codec.fromConfig({ id: "blosc", blocksize: 0, clevel: 5, cname: "zstd", shuffle: 1 }),
  );
  return made;
}

/** Decompressed length by blosc's header of 16 bytes; undefined where the header contradicts itself. */
function bloscLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const [size, packed] = [view.getUint32(4, true), view.getUint32(12, true)];
  return bytes[0] === 2 && packed === bytes.length ? size : undefined;
}

/** Content size of a zstd frame, which must state it. */
export function zstdLength(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) return undefined;
  const flags = view.getUint8(4);
  const isSingle = (flags & 32) !== 0;
  const at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][flags & 3] ?? 0);
  const width = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  if (width === 0 || bytes.length < at + width) return undefined;
  if (width === 1) return view.getUint8(at);
  if (width === 2) return view.getUint16(at, true) + 256;
  return view.getUint32(at, true) + (width === 8 ? view.getUint32(at + 4, true) * 2 ** 32 : 0);
}

async function gunzip(bytes: Uint8Array<ArrayBuffer>, most: number, where: string): Promise<Uint8Array> {
  const out = new Uint8Array(most);
  let size = 0;
  try {
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (size + next.value.length > most) {
        await reader.cancel();
        throw new PageError("corrupt", `${where} unpacks to more than ${most} bytes`);
      }
      out.set(next.value, size);
      size += next.value.length;
    }
  } catch (error) {
    if (error instanceof PageError) throw error;
    throw new PageError("corrupt", `${where} cannot be unpacked`, { cause: error });
  }
  return out.subarray(0, size);
}
