export type Choice = "auto" | "light" | "dark";

const KEY = "tessera-theme";
const media = matchMedia("(prefers-color-scheme: dark)");

function kept(): Choice {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto"; // a browser that keeps nothing
  }
}

/** Light or dark: what the system says, until the user says something else. */
export class Theme {
  choice = $state<Choice>(kept());
  private system = $state(media.matches);
  readonly dark: boolean = $derived(this.choice === "auto" ? this.system : this.choice === "dark");

  constructor() {
    media.addEventListener("change", () => (this.system = media.matches));
  }

  toggle(): void {
    this.set(this.dark ? "light" : "dark");
  }

  set(choice: Choice): void {
    this.choice = choice;
    try {
      if (choice === "auto") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, choice);
    } catch {
      // the choice holds until the page is closed
    }
  }
}
