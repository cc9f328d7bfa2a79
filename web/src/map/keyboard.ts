/** What a key does while the map has the focus. */
export type MapKey =
  | { readonly does: "step"; readonly x: number; readonly y: number } // of the cursor, screen pixels or map pixels
  | { readonly does: "click" | "finish" | "back" | "cancel" | "in" | "out" };

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

interface Pressed {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

export function mapKey(event: Pressed): MapKey | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const arrow = ARROWS[event.key];
  if (arrow) {
    const far = event.shiftKey ? 8 : 1;
    return { does: "step", x: arrow[0] * far, y: arrow[1] * far };
  }
  switch (event.key) {
    case "Enter":
    case " ":
      return { does: event.shiftKey ? "finish" : "click" };
    case "Backspace":
      return { does: "back" };
    case "Escape":
      return { does: "cancel" };
    case "+":
    case "=":
      return { does: "in" };
    case "-":
      return { does: "out" };
    default:
      return undefined;
  }
}
