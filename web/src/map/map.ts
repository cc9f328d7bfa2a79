import "maplibre-gl/dist/maplibre-gl.css";

import { type GeoJSONSource, LngLat, Map as MapLibre, Marker, ScaleControl, setWorkerUrl } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";

import type { LonLat } from "../geo";
import { FINE_FROM, outlines, SCHEMES, style } from "./basemap";
import { blank, draw, type Draft, type Move } from "./drawing";
import { mapKey } from "./keyboard";
import { addMarkLayers, PICKED, showDraft, showMarks } from "./marks";
import { Rasters } from "./raster";
import type { DrawingTool, MapEvents, Mark, PageMap, RasterLayer, View } from "./types";

const FINE_AFTER = 4000; // milliseconds
const KEY_STEP = 14; // screen pixels that an arrow moves the cursor
const WORDS: Readonly<Record<DrawingTool, string>> = {
  point: "",
  polygon: "Corner set. Enter on the same place closes the polygon, Backspace takes a corner back, Escape cancels.",
  rectangle: "First corner set. Enter sets the opposite corner, Escape cancels.",
  brush: "Stroke begun. Arrows paint, Enter ends it, Escape cancels.",
};

export interface MapOptions {
  readonly container: HTMLElement;
  readonly view: View;
  readonly dark: boolean;
  readonly events: MapEvents;
}

/** The map, without a style or a tile from another host. */
export async function createMap({ container, view, dark, events }: MapOptions): Promise<PageMap> {
  setWorkerUrl(workerUrl);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = new MapLibre({
    container,
    style: style(dark),
    center: [view.lon, view.lat],
    zoom: view.zoom,
    maxZoom: 19,
    attributionControl: false,
    keyboard: false, // our own: arrows move a cursor
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    doubleClickZoom: true,
    fadeDuration: 0,
    canvasContextAttributes: { antialias: false },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new ScaleControl({ maxWidth: 120 }), "bottom-right");
  await map.once("style.load");
  const rasters = new Rasters();
  map.addLayer(rasters);
  addMarkLayers(map);
  return new OpenMap(map, rasters, events, still);
}

class OpenMap implements PageMap {
  private draft: Draft | undefined;
  private colour = "#000000";
  private radius = 20;
  private cursor: LonLat | undefined;
  private fine = false;
  private outlined = false;
  private readonly born = performance.now();
  private readonly pin: Marker;
  private readonly gone = new AbortController();

  private readonly map: MapLibre;
  private readonly rasters: Rasters;
  private readonly events: MapEvents;
  private readonly still: boolean;
  private pressed = false;

  constructor(map: MapLibre, rasters: Rasters, events: MapEvents, still: boolean) {
    this.map = map;
    this.rasters = rasters;
    this.events = events;
    this.still = still;
    const canvas = map.getCanvas();
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-roledescription", "map");
    canvas.setAttribute("aria-label", "Map. Arrow keys move a cursor, Enter clicks, plus and minus zoom.");
    const dot = document.createElement("div");
    dot.className = "map-cursor";
    this.pin = new Marker({ element: dot, anchor: "center" });
    this.listen(canvas);
    void this.outline();
    setTimeout(() => void this.outline(), FINE_AFTER + 100);
    this.moved();
  }

  private listen(canvas: HTMLCanvasElement): void {
    const { map } = this;
    const { signal } = this.gone;
    const at = (event: { lngLat: LngLat }): LonLat => [event.lngLat.wrap().lng, event.lngLat.lat];
    map.on("moveend", () => this.moved());
    map.on("zoomend", () => void this.outline());
    map.on("zoom", () => this.show());
    map.on("mousemove", (event) => {
      this.events.hovered(at(event));
      if (this.draft) this.move({ type: "move", at: at(event) });
    });
    map.on("mouseout", () => this.events.hovered(undefined));
    map.on("click", (event) => {
      this.setCursor(undefined);
      if (this.draft) {
        // a press and a release have said it already
        if (this.draft.tool !== "brush" && !(this.draft.tool === "rectangle" && this.pressed))
          this.move({ type: "click", at: at(event) });
        this.pressed = false;
        return;
      }
      this.click(at(event), event.point);
    });
    map.on("dblclick", (event) => {
      if (!this.draft) return;
      event.preventDefault();
      this.move({ type: "finish" });
    });
    const from = (event: PointerEvent): LonLat => {
      const box = canvas.getBoundingClientRect();
      const place = map.unproject([event.clientX - box.left, event.clientY - box.top]).wrap();
      return [place.lng, place.lat];
    };
    const drags = () => this.draft?.tool === "brush" || this.draft?.tool === "rectangle";
    canvas.addEventListener(
      "pointerdown",
      (event) => {
        if (!drags() || event.button !== 0 || !event.isPrimary) return;
        this.pressed = this.draft?.points.length === 0;
        canvas.setPointerCapture(event.pointerId);
        this.move({ type: "press", at: from(event) });
      },
      { signal },
    );
    canvas.addEventListener(
      "pointermove",
      (event) => {
        if (drags() && this.draft?.held) this.move({ type: "move", at: from(event) });
      },
      { signal },
    );
    canvas.addEventListener(
      "pointerup",
      (event) => {
        if (this.draft?.held) this.move({ type: "release", at: from(event) });
      },
      { signal },
    );
    canvas.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  private key(event: KeyboardEvent): void {
    const key = mapKey(event);
    if (!key) return;
    if (key.does === "cancel" && !this.cancelDrawing()) {
      this.setCursor(undefined);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (key.does === "in") this.map.zoomIn({ animate: !this.still });
    if (key.does === "out") this.map.zoomOut({ animate: !this.still });
    if (key.does === "step") this.step(key.x * KEY_STEP, key.y * KEY_STEP);
    if (key.does === "back" && this.draft) this.move({ type: "back" });
    if (key.does === "finish" && this.draft) this.move({ type: "finish" });
    if (key.does === "click") {
      const at = this.cursor ?? this.setCursor(this.map.getCenter());
      if (this.draft) this.move({ type: "click", at });
      else this.click(at, this.map.project([at[0], at[1]]));
    }
  }

  private step(x: number, y: number): void {
    const { map } = this;
    const from = this.cursor ? map.project([this.cursor[0], this.cursor[1]]) : map.project(map.getCenter());
    const to = this.cursor ? map.unproject([from.x + x, from.y + y]) : map.getCenter();
    const at = this.setCursor(to);
    const place = map.project(to);
    const { clientWidth, clientHeight } = map.getContainer();
    const { left = 0, bottom = 0 } = map.getPadding();
    const edge = 40;
    const out =
      place.x < left + edge || place.y < edge || place.x > clientWidth - edge || place.y > clientHeight - bottom - edge;
    if (out) map.easeTo({ center: to, animate: !this.still, duration: 200 });
    this.events.cursor(at);
    if (this.draft) this.move({ type: "move", at });
  }

  private setCursor(to: LngLat | undefined): LonLat {
    const place = to?.wrap();
    this.cursor = place ? [place.lng, place.lat] : undefined;
    if (place) this.pin.setLngLat(place).addTo(this.map);
    else this.pin.remove();
    return this.cursor ?? [0, 0];
  }

  private click(at: LonLat, point: { x: number; y: number }): void {
    const { x, y } = point;
    const found = this.map.queryRenderedFeatures(
      [
        [x - 4, y - 4],
        [x + 4, y + 4],
      ],
      { layers: PICKED },
    );
    const ids = found.map((each) => String(each.properties["id"]));
    this.events.clicked(at, [...new Set(ids)]);
  }

  private move(move: Move): void {
    if (!this.draft) return;
    const before = this.draft.points.length;
    const { draft, drawn } = draw(this.draft, move);
    this.draft = draft;
    this.show();
    if (drawn) this.events.drawn(drawn);
    else if (draft.points.length > before && before === 0) this.events.drafting(WORDS[draft.tool]);
  }

  private show(): void {
    const metres =
      (40_075_016.7 * Math.cos((this.map.getCenter().lat * Math.PI) / 180)) / 2 ** (this.map.getZoom() + 9);
    showDraft(this.map, this.draft, this.colour, Math.max(2, (2 * this.radius) / metres));
  }

  private moved(): void {
    const { lng, lat } = this.map.getCenter().wrap();
    const { left = 0, bottom = 0 } = this.map.getPadding();
    const { clientWidth, clientHeight } = this.map.getContainer();
    const [northWest, southEast] = [
      this.map.unproject([left, 0]),
      this.map.unproject([clientWidth, clientHeight - bottom]),
    ];
    this.events.moved({ lon: lng, lat, zoom: this.map.getZoom() }, [
      northWest.lng,
      southEast.lat,
      southEast.lng,
      northWest.lat,
    ]);
  }

  /** Outlines of land; finer ones once someone looks closer. */
  private async outline(): Promise<void> {
    if (this.gone.signal.aborted) return;
    // the finer outlines are a quarter of all bytes: the store's first picture goes before them
    const late = performance.now() - this.born > FINE_AFTER;
    const fine = late && this.map.getZoom() >= FINE_FROM;
    if (this.outlined && (this.fine || !fine)) return;
    this.outlined = true;
    this.fine = fine;
    try {
      const { land, borders } = await outlines(fine);
      if (this.gone.signal.aborted) return;
      await this.map.getSource<GeoJSONSource>("land")?.setData(land);
      await this.map.getSource<GeoJSONSource>("borders")?.setData(borders);
    } catch {
      this.outlined = false; // context only; the next zoom tries again
    }
  }

  setLayers(layers: readonly RasterLayer[]): void {
    this.rasters.set(layers);
  }

  setMarks(marks: readonly Mark[]): void {
    showMarks(this.map, marks);
  }

  setTool(tool: DrawingTool | undefined, colour: string, radius: number): void {
    if (tool !== this.draft?.tool) this.draft = tool ? blank(tool) : undefined;
    this.colour = colour;
    this.radius = radius;
    const drags = tool === "brush" || tool === "rectangle";
    if (drags) this.map.dragPan.disable();
    else this.map.dragPan.enable();
    if (tool) this.map.doubleClickZoom.disable();
    else this.map.doubleClickZoom.enable();
    this.map.getCanvas().style.cursor = tool ? "crosshair" : "";
    this.show();
  }

  setSwipe(share: number | undefined): void {
    this.rasters.swipe = share;
    this.map.triggerRepaint();
  }

  setTheme(dark: boolean): void {
    const scheme = SCHEMES[dark ? "dark" : "light"];
    this.map.setPaintProperty("water", "background-color", scheme.water);
    this.map.setPaintProperty("land", "fill-color", scheme.land);
    this.map.setPaintProperty("coast", "line-color", scheme.coast);
    this.map.setPaintProperty("borders", "line-color", scheme.border);
  }

  setPadding(left: number, bottom: number): void {
    this.map.setPadding({ left, bottom, top: 0, right: 0 });
  }

  go(view: Partial<View>): void {
    const centre = this.map.getCenter();
    this.map.jumpTo({
      center: [view.lon ?? centre.lng, view.lat ?? centre.lat],
      zoom: view.zoom ?? this.map.getZoom(),
    });
  }

  fit(box: readonly [number, number, number, number], most = 15): void {
    this.map.fitBounds([box[0], box[1], box[2], box[3]], { padding: 40, maxZoom: most, animate: false });
  }

  cancelDrawing(): boolean {
    if (!this.draft || this.draft.points.length === 0) return false;
    this.move({ type: "cancel" });
    return true;
  }

  remove(): void {
    this.gone.abort();
    this.map.remove();
  }
}
