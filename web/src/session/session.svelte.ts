import type { StoreAddress } from "../compute";
import type { Area, Box, LonLat } from "../geo";
import type { Store } from "../store";
import type { DrawingTool, Drawn, Mark, PageMap, RasterLayer, Tile, View } from "../map";
import { bytesOf, boxOfArea, sameArea } from "./areas";
import { Changing } from "./changing.svelte";
import { Classifying } from "./classifying.svelte";
import { Finding } from "./finding.svelte";
import { Importing } from "./importing.svelte";
import { Jobs } from "./jobs.svelte";
import { Labelling } from "./labelling.svelte";
import { addTiles, changeLayer, dropLayer, moveLayer, putLayer, type Layers } from "./layers";
import { Looking } from "./looking.svelte";
import type { Services } from "./services";
import { Structuring } from "./structuring.svelte";

/** A panel that waits for something to be drawn on the map. */
export interface Tool {
  readonly owner: string; // of the panel
  readonly shape: DrawingTool;
  readonly colour?: string;
  readonly hint: string;
  readonly once?: boolean; // done after one shape
  readonly done: (drawn: Drawn) => void;
}

export const MOST_BYTES = 600_000_000; // in memory at once: about 4.5 million pixels of 128 dims

/** All that the page knows. Panels show it, and each action of a user is a function on it or on a part of it. */
export class Session {
  readonly services: Services;
  readonly jobs = new Jobs();
  readonly labelling: Labelling;
  readonly looking = new Looking();
  readonly finding = new Finding();
  readonly classifying = new Classifying();
  readonly importing = new Importing();
  readonly structuring = new Structuring();
  readonly changing = new Changing();

  store = $state.raw<Store | undefined>();
  address = $state.raw<StoreAddress | undefined>();
  extent = $state.raw<readonly Box[]>([]);
  year = $state<number | undefined>();
  panel = $state("look");
  panelOpen = $state(true);
  opener = $state(false); // the dialog that opens a store
  keys = $state(false); // the list of keys
  view = $state.raw<View | undefined>();
  box = $state.raw<Box | undefined>(); // what is seen of the map
  area = $state.raw<Area | undefined>(); // what was chosen; else it is what is seen
  layers = $state.raw<Layers>([]);
  readonly hidden = new Set<string>(); // layers that a link says are off, until they are there
  marks = $state.raw<Readonly<Record<string, readonly Mark[]>>>({}); // on the map, by panel
  tool = $state.raw<Tool | undefined>();
  swipe = $state<number | undefined>(); // share of the map's width
  hover = $state.raw<LonLat | undefined>();
  words = $state(""); // what a screen reader says
  picked = $state.raw<((at: LonLat, marks: readonly string[]) => boolean) | undefined>(); // a click without a tool
  /** Files that panels take when they are dropped on the page. */
  takes = $state.raw<readonly { readonly fits: (file: File) => boolean; readonly take: (file: File) => void }[]>([]);
  map: PageMap | undefined;
  private pending: Area | Box | undefined; // to show once there is a map

  readonly dims: number = $derived(this.store?.model.dims ?? 128);
  readonly target: Area | undefined = $derived(this.area ?? (this.box ? { kind: "box", box: this.box } : undefined));
  readonly bytes: number = $derived(this.target ? bytesOf(this.target, this.dims) : 0);
  readonly tooMuch: boolean = $derived(this.bytes > MOST_BYTES);

  constructor(services: Services) {
    this.services = services;
    const tell = (words: string) => this.tell(words);
    this.labelling = new Labelling(tell, (error) => this.jobs.fail("Labels", error));
  }

  tell(words: string): void {
    // a screen reader repeats nothing that has not changed
    this.words = this.words === words ? `${words}\u00a0` : words;
  }

  setArea(area: Area | undefined): void {
    if (!sameArea(area, this.area)) this.area = area;
  }

  /** Fixes the area as what is seen now, where none was chosen. */
  settleArea(): Area | undefined {
    if (!this.area && this.box) this.area = { kind: "box", box: this.box };
    return this.area;
  }

  show(panel: string): void {
    if (this.panel === panel && this.panelOpen) return;
    if (this.tool && this.tool.owner !== panel) this.tool = undefined;
    this.panel = panel;
    this.panelOpen = true;
  }

  take(tool: Tool | undefined): void {
    this.tool = tool;
    if (tool) this.tell(tool.hint);
  }

  drawn(drawn: Drawn): void {
    const { tool } = this;
    if (tool?.once) this.tool = undefined;
    tool?.done(drawn);
  }

  setMarks(owner: string, marks: readonly Mark[]): void {
    this.marks = { ...this.marks, [owner]: marks };
  }

  goTo(at: LonLat, zoom?: number): void {
    this.map?.go(zoom === undefined ? { lon: at[0], lat: at[1] } : { lon: at[0], lat: at[1], zoom });
  }

  fit(area: Area | Box): void {
    if (this.map) this.map.fit("kind" in area ? boxOfArea(area) : area);
    else this.pending = area;
  }

  mapReady(): void {
    if (this.pending) this.fit(this.pending);
    this.pending = undefined;
  }

  /** A click on the map while nothing is drawn. */
  clicked(at: LonLat, marks: readonly string[]): void {
    this.hover = at;
    if (this.picked?.(at, marks)) return;
    const known = new Set(this.labelling.labels.labels.map((each) => each.id));
    const found = marks.find((each) => known.has(each));
    if (found === undefined && this.labelling.chosen === undefined) return;
    this.labelling.chosen = found;
    if (found !== undefined) this.show("label");
  }

  putLayer(layer: RasterLayer): void {
    const isOff = this.hidden.delete(layer.id) && !this.layer(layer.id);
    this.layers = putLayer(this.layers, isOff ? { ...layer, visible: false } : layer);
  }

  addTiles(id: string, tiles: readonly Tile[]): void {
    this.layers = addTiles(this.layers, id, tiles);
  }

  changeLayer(id: string, change: Partial<Omit<RasterLayer, "id">>): void {
    this.layers = changeLayer(this.layers, id, change);
  }

  moveLayer(id: string, by: 1 | -1): void {
    this.layers = moveLayer(this.layers, id, by);
  }

  dropLayer(id: string): void {
    this.layers = dropLayer(this.layers, id);
  }

  layer(id: string): RasterLayer | undefined {
    return this.layers.find((each) => each.id === id);
  }
}
