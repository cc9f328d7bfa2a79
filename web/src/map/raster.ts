import type { CustomLayerInterface, CustomRenderMethodInput, Map as MapLibre } from "maplibre-gl";

import { table } from "./colours";
import { program, type Program } from "./shaders";
import { meshOf, placed, type Mesh } from "./tiles";
import type { RasterLayer, Tile } from "./types";

interface Drawable {
  readonly mesh: Mesh;
  readonly texture: WebGLTexture;
  readonly array: WebGLVertexArrayObject;
  readonly buffers: readonly WebGLBuffer[];
}

const KINDS = { rgba: 0, classes: 1, scores: 2 } as const;
const CLEAR = -2e30; // float textures hold no NaN on every card

/** All raster layers of the page as one layer of MapLibre: values are textures, a new threshold is a new number. */
export class Rasters implements CustomLayerInterface {
  readonly id = "rasters";
  readonly type = "custom";
  private layers: readonly RasterLayer[] = [];
  private readonly tiles = new Map<Tile, Drawable>();
  private readonly tables = new Map<string, { key: string; texture: WebGLTexture }>();
  private kit: Program | undefined;
  private map: MapLibre | undefined;
  swipe: number | undefined;

  set(layers: readonly RasterLayer[]): void {
    this.layers = layers;
    this.map?.triggerRepaint();
  }

  onAdd(map: MapLibre, gl: WebGL2RenderingContext): void {
    // after a lost context all that was on the card is gone, and is made again
    this.tiles.clear();
    this.tables.clear();
    this.map = map;
    this.kit = program(gl);
  }

  onRemove(_map: MapLibre, gl: WebGL2RenderingContext): void {
    for (const each of this.tiles.values()) this.drop(gl, each);
    this.tiles.clear();
    this.map = undefined;
  }

  render = (gl: WebGL2RenderingContext, input: CustomRenderMethodInput): void => {
    const kit = this.kit;
    if (!kit) return;
    this.forget(gl);
    const shown = this.layers.filter((each) => each.visible && each.opacity > 0);
    if (shown.length === 0) return;
    gl.useProgram(kit.program);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.disable(gl.CULL_FACE);
    gl.enable(gl.BLEND);
    gl.blendEquation(gl.FUNC_ADD);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniform1i(kit.uniform.values, 0);
    gl.uniform1i(kit.uniform.colours, 1);
    for (const layer of shown) {
      this.clip(gl, layer);
      this.layer(gl, kit, layer, input.defaultProjectionData.mainMatrix);
    }
    gl.disable(gl.SCISSOR_TEST);
    gl.bindVertexArray(null);
  };

  private clip(gl: WebGL2RenderingContext, layer: RasterLayer): void {
    if (this.swipe === undefined || layer.side === "both") {
      gl.disable(gl.SCISSOR_TEST);
      return;
    }
    const width = gl.drawingBufferWidth;
    const at = Math.round(width * this.swipe);
    gl.enable(gl.SCISSOR_TEST);
    if (layer.side === "left") gl.scissor(0, 0, at, gl.drawingBufferHeight);
    else gl.scissor(at, 0, width - at, gl.drawingBufferHeight);
  }

  private layer(gl: WebGL2RenderingContext, kit: Program, layer: RasterLayer, matrix: ArrayLike<number>): void {
    const { paint } = layer;
    gl.uniform1i(kit.uniform.kind, KINDS[paint.kind]);
    gl.uniform1f(kit.uniform.opacity, layer.opacity);
    if (paint.kind === "scores") gl.uniform3f(kit.uniform.scale, paint.low, paint.high, paint.threshold);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, paint.kind === "rgba" ? null : this.colours(gl, layer.id, paint));
    gl.activeTexture(gl.TEXTURE0);
    for (const tile of layer.tiles) {
      const drawable = this.tiles.get(tile) ?? this.take(gl, kit, tile);
      gl.bindTexture(gl.TEXTURE_2D, drawable.texture);
      gl.bindVertexArray(drawable.array);
      gl.uniformMatrix4fv(kit.uniform.matrix, false, placed(matrix, drawable.mesh.origin, drawable.mesh.size));
      gl.drawElements(gl.TRIANGLES, drawable.mesh.triangles.length, gl.UNSIGNED_SHORT, 0);
    }
  }

  private colours(gl: WebGL2RenderingContext, id: string, paint: Parameters<typeof table>[0]): WebGLTexture {
    const key = (paint.kind === "classes" ? paint.colours : paint.ramp).join();
    const known = this.tables.get(id);
    if (known?.key === key) return known.texture;
    if (known) gl.deleteTexture(known.texture);
    const texture = textureOf(gl, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, 256, 1, table(paint), false);
    this.tables.set(id, { key, texture });
    return texture;
  }

  private take(gl: WebGL2RenderingContext, kit: Program, tile: Tile): Drawable {
    const mesh = meshOf(tile.window);
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const [vertices, triangles] = [gl.createBuffer(), gl.createBuffer()];
    gl.bindBuffer(gl.ARRAY_BUFFER, vertices);
    gl.bufferData(gl.ARRAY_BUFFER, mesh.vertices, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(kit.at);
    gl.vertexAttribPointer(kit.at, 2, gl.FLOAT, false, 16, 0);
    gl.enableVertexAttribArray(kit.uv);
    gl.vertexAttribPointer(kit.uv, 2, gl.FLOAT, false, 16, 8);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, triangles);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.triangles, gl.STATIC_DRAW);
    const drawable = { mesh, array, buffers: [vertices, triangles], texture: valuesOf(gl, tile) };
    this.tiles.set(tile, drawable);
    return drawable;
  }

  /** Tiles that no layer has any more leave the card. */
  private forget(gl: WebGL2RenderingContext): void {
    const alive = new Set(this.layers.flatMap((layer) => layer.tiles));
    for (const [tile, drawable] of this.tiles)
      if (!alive.has(tile)) {
        this.drop(gl, drawable);
        this.tiles.delete(tile);
      }
  }

  private drop(gl: WebGL2RenderingContext, drawable: Drawable): void {
    gl.deleteTexture(drawable.texture);
    gl.deleteVertexArray(drawable.array);
    for (const buffer of drawable.buffers) gl.deleteBuffer(buffer);
  }
}

function valuesOf(gl: WebGL2RenderingContext, { window, step, data }: Tile): WebGLTexture {
  const [width, height] = [Math.floor(window.width / step), Math.floor(window.height / step)];
  if (data instanceof Float32Array)
    return textureOf(
      gl,
      gl.R32F,
      gl.RED,
      gl.FLOAT,
      width,
      height,
      data.map((each) => (each === each ? each : CLEAR)),
      false,
    );
  if (data.length === width * height) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return textureOf(gl, gl.R8, gl.RED, gl.UNSIGNED_BYTE, width, height, bytes, false);
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
  return textureOf(gl, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, width, height, bytes, true);
}

function textureOf(
  gl: WebGL2RenderingContext,
  inside: number,
  format: number,
  type: number,
  width: number,
  height: number,
  data: ArrayBufferView<ArrayBuffer>,
  smooth: boolean,
): WebGLTexture {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.texImage2D(gl.TEXTURE_2D, 0, inside, width, height, 0, format, type, data);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, smooth ? gl.LINEAR_MIPMAP_LINEAR : gl.NEAREST);
  if (smooth) gl.generateMipmap(gl.TEXTURE_2D);
  return texture;
}
