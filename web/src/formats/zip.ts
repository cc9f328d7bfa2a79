import { unzip } from "fflate";

import { PageError } from "../base";
import { MOST_BYTES } from "./types";

const MOST_ENTRIES = 1000;

/** The files of a zip archive whose names pass, unpacked within a limit; names are never paths of this machine. */
export async function unpack(
  name: string,
  bytes: Uint8Array,
  wanted: (entry: string) => boolean,
  most = MOST_BYTES,
): Promise<Map<string, Uint8Array>> {
  let left = most;
  let entries = 0;
  const found = await new Promise<Record<string, Uint8Array>>((resolve, reject) => {
    const refuse = (text: string) => reject(new PageError("refused", `${name} ${text}`));
    unzip(
      bytes,
      {
        filter: ({ name: entry, originalSize }) => {
          if (++entries > MOST_ENTRIES) refuse(`holds more than ${MOST_ENTRIES} files`);
          if (entries > MOST_ENTRIES || !wanted(entry)) return false;
          left -= originalSize;
          if (left < 0) refuse(`unpacks to more than ${most} bytes`);
          return left >= 0;
        },
      },
      (error, data) =>
        error
          ? reject(new PageError("corrupt", `${name} is no zip archive that can be read: ${error.message}`))
          : resolve(data),
    );
  });
  return new Map(Object.entries(found));
}
