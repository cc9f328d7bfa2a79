/** What a key does wherever it is pressed on the page, but in a field for text. */
export type Hotkey =
  | { readonly does: "undo" | "redo" | "keys" | "cancel" | "next" | "previous" | "accept" | "reject" | "swipe" }
  | { readonly does: "class"; readonly index: number }
  | { readonly does: "panel"; readonly index: number };

interface Pressed {
  readonly key: string;
  readonly code?: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

export function hotkey(event: Pressed): Hotkey | undefined {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.altKey) {
    if (key === "z") return { does: event.shiftKey ? "redo" : "undo" };
    if (key === "y") return { does: "redo" };
    return undefined;
  }
  if (event.altKey) {
    // some layouts write another sign with alt, so the key itself counts
    const digit = /^Digit([1-9])$/.exec(event.code ?? "")?.[1];
    return digit && !command ? { does: "panel", index: Number(digit) - 1 } : undefined;
  }
  if (/^[1-9]$/.test(key)) return { does: "class", index: Number(key) - 1 };
  switch (key) {
    case "u":
      return { does: event.shiftKey ? "redo" : "undo" };
    case "?":
      return { does: "keys" };
    case "Escape":
      return { does: "cancel" };
    case "n":
      return { does: "next" };
    case "p":
      return { does: "previous" };
    case "a":
      return { does: "accept" };
    case "r":
      return { does: "reject" };
    case "s":
      return { does: "swipe" };
    default:
      return undefined;
  }
}

/** Rows of the table of keys. */
export const KEYS: readonly (readonly [keys: string, does: string])[] = [
  ["Arrows", "move a cursor on the map (with Shift: further)"],
  ["Enter", "click where the cursor is; on the first corner again, or Shift + Enter: close the polygon"],
  ["+ and −", "zoom"],
  ["Backspace", "take back the last corner"],
  ["Esc", "stop drawing"],
  ["1 to 9", "choose a class"],
  ["U or Ctrl + Z", "undo"],
  ["Shift + U or Ctrl + Shift + Z", "redo"],
  ["N and P", "next and previous proposed label"],
  ["A and R", "accept and reject it"],
  ["S", "swipe compare on and off"],
  ["Alt + 1 to 7", "open a panel"],
  ["?", "this list"],
];
