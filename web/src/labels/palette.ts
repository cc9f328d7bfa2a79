/** Colours that people with any colour vision tell apart: Okabe and Ito's, then Tol's bright and muted ones. */
export const PALETTE = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#d55e00",
  "#f0e442",
  "#332288",
  "#999933",
  "#882255",
  "#44aa99",
  "#999999",
  "#661100",
  "#117733",
  "#aa4499",
  "#ddcc77",
] as const;

const COLOUR = /^#[0-9a-f]{6}$/;

/** The first colour of the palette that is not in use, else the one that is used least recently. */
export function nextColour(used: readonly string[]): string {
  const free = PALETTE.find((colour) => !used.includes(colour));
  return free ?? PALETTE[used.length % PALETTE.length] ?? PALETTE[0];
}

export function isColour(value: unknown): value is string {
  return typeof value === "string" && COLOUR.test(value);
}

/** Red, green and blue of "#rrggbb", 0 to 255. */
export function rgb(colour: string): readonly [number, number, number] {
  const value = parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** Black or white, whichever is read better on the colour (WCAG relative luminance). */
export function inkOn(colour: string): "#000000" | "#ffffff" {
  const [r, g, b] = rgb(colour).map((each) => {
    const part = each / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (r ?? 0) + 0.7152 * (g ?? 0) + 0.0722 * (b ?? 0) > 0.179 ? "#000000" : "#ffffff";
}
