import type { StoreAddress } from "../compute";
import { addClass, NOTHING } from "../labels";
import { around } from "./areas";
import { parseHash, storeUrl, type HashState } from "./hash";
import { addExample } from "./find";
import { compareWith, first } from "./look";
import type { Session } from "./session.svelte";

/** Where the page was told to look for a store: in its address, or in the folder above where it is served at STORE/page/. */
export function askedStore(location: { href: string; search: string; hash: string }): string | undefined {
  const asked = new URLSearchParams(location.search).get("store");
  const here = new URL(location.href);
  const said = storeUrl(asked, here.href) ?? parseHash(location.hash, here.href).store;
  if (said !== undefined) return said;
  return /\/page\/(index\.html)?$/.test(here.pathname) ? new URL("../", here).href : undefined;
}

export function addressName(address: StoreAddress): string {
  switch (address.kind) {
    case "url":
      return address.url;
    case "folder":
      return address.handle.name;
    case "files":
      return address.name;
    case "zip":
      return address.file.name;
  }
}

/** Opens a store and shows it. @param quiet where no one asked for it: a page that lies nowhere near a store opens empty. */
export async function openStore(
  session: Session,
  address: StoreAddress,
  said: HashState = {},
  quiet = false,
): Promise<boolean> {
  const { jobs } = session;
  const name = addressName(address);
  const opened = await jobs.run(
    "opening",
    `Opening ${name}`,
    async (running) => {
      const compute = await session.services.compute();
      const store = await compute.open(address, running);
      const extent = await store.extent(running).catch(() => []);
      return { store, extent };
    },
    quiet ? {} : { retry: () => void openStore(session, address, said) },
  );
  if (!opened) {
    if (quiet) jobs.problem = undefined;
    session.opener = session.store === undefined;
    return false;
  }
  const { store, extent } = opened;
  reset(session);
  session.store = store;
  session.address = address;
  session.extent = extent;
  session.opener = false;
  const year = said.year !== undefined && store.years.includes(said.year) ? said.year : store.years.at(-1);
  session.year = year;
  await session.labelling.open(store.identity, session.services.keeper);
  takeHash(session, said);
  const whole = around(extent);
  if (!said.view && whole) session.fit(whole);
  session.tell(`${store.name} is open: ${store.years.length} ${store.years.length === 1 ? "year" : "years"}.`);
  await first(session, whole);
  await takeExamples(session, said);
  if (said.compare !== undefined && store.years.includes(said.compare)) await compareWith(session, said.compare);
  return true;
}

function reset(session: Session): void {
  for (const each of Object.values(session.looking.loaded)) each.release();
  session.looking.loaded = {};
  session.looking.compare = undefined;
  session.layers = [];
  session.marks = {};
  session.tool = undefined;
  session.swipe = undefined;
  session.area = undefined;
  session.finding.positives = [];
  session.finding.negatives = [];
  session.classifying.fitted = undefined;
  session.classifying.report = undefined;
  session.classifying.next = [];
  session.structuring.clear();
  session.changing.clear();
}

/** What a link says beyond the store. Its classes are taken only where this browser has none of this store. */
function takeHash(session: Session, said: HashState): void {
  if (said.area) session.setArea(said.area);
  session.hidden.clear();
  for (const each of said.hidden ?? []) session.hidden.add(each);
  if (said.threshold !== undefined) [session.finding.threshold, session.finding.isChosen] = [said.threshold, true];
  const { labelling } = session;
  const { classes } = said;
  if (classes && labelling.labels.classes.length === 0)
    labelling.step("classes of the link", () =>
      classes.reduce((all, { name, colour }) => {
        try {
          return addClass(all, name, colour);
        } catch {
          return all; // a name twice
        }
      }, NOTHING),
    );
}

async function takeExamples(session: Session, said: HashState): Promise<void> {
  const all = [
    ...(said.like ?? []).map((at) => [at, 1] as const),
    ...(said.unlike ?? []).map((at) => [at, -1] as const),
  ];
  for (const [index, [at, sign]] of all.entries()) await addExample(session, at, sign, index === all.length - 1);
}
