import { formatHash, type HashState } from "./hash";
import type { Session } from "./session.svelte";

/** What a link to this page says. Labels are in the project file, not in a link. */
export function hashState(session: Session): HashState {
  const { address, store, year, view, panel, area, finding, labelling, looking } = session;
  const classes = labelling.labels.classes.map(({ name, colour }) => ({ name, colour }));
  const hidden = session.layers.filter((each) => !each.visible).map((each) => each.id);
  return {
    ...(address?.kind === "url" ? { store: address.url } : {}),
    ...(store && year !== undefined ? { year } : {}),
    ...(looking.compare === undefined ? {} : { compare: looking.compare }),
    ...(view ? { view } : {}),
    panel,
    ...(area ? { area } : {}),
    ...(finding.positives.length > 0
      ? { threshold: finding.threshold, like: finding.positives.map((each) => each.at) }
      : {}),
    ...(finding.negatives.length > 0 ? { unlike: finding.negatives.map((each) => each.at) } : {}),
    ...(classes.length > 0 && classes.length <= 60 ? { classes } : {}),
    ...(hidden.length > 0 ? { hidden } : {}),
  };
}

export function link(session: Session): string {
  const url = new URL(location.href);
  url.search = "";
  url.hash = formatHash(hashState(session));
  return url.href;
}

/** Copies a link to what is seen. */
export async function copyLink(session: Session): Promise<boolean> {
  if (session.address && session.address.kind !== "url")
    session.tell("This store is on your computer: the link shows the place, and whoever opens it needs the store too.");
  try {
    await navigator.clipboard.writeText(link(session));
    session.tell("The link is copied.");
    return true;
  } catch {
    session.jobs.fail("Link", "the browser lets no page copy; take the link from the address bar");
    return false;
  }
}
