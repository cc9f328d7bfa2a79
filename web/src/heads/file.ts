import { PageError } from "../base";
import { modelOf } from "./model";
import { pack, unpack } from "./packing";
import type { Head, HeadInput, HeadKind } from "./types";
import { countOf, isObject, objectOf, refuse, shown, textOf, textsOf, type Plain } from "./values";

const FORMAT = "tessera-head";
const VERSION = 3;
const KINDS: readonly HeadKind[] = ["prototype", "linear", "knn", "forest", "mlp", "boosting"];
const REST = ["span", "trust", "applicability", "metrics", "provenance"] as const;
const KEYS = [
  "format",
  "version",
  "head",
  "kind",
  "classes",
  "values",
  "colours",
  "column",
  "inputs",
  "arrays",
  ...REST,
];

/** Bytes of a file: a forest of some hundred thousand labels. */
export const MOST_BYTES = 256 * 1024 * 1024;
const MOST_COMMAS = 2_000_000;
const MOST_CLASSES = 255;
const MOST_COLOURS = 255;
const MOST_DEPTH = 100;
const NO_DATA = 255;

/** Read a head's file: limits first, then every check of docs/head-format.md. `name` is for messages. */
export function readHead(bytes: Uint8Array, name: string): Head {
  if (bytes.length > MOST_BYTES) {
    throw new PageError(
      "refused",
      `head ${shown(name)} has ${megabytes(bytes.length)}; expected at most ${megabytes(MOST_BYTES)}`,
    );
  }
  let commas = 0;
  for (let at = bytes.indexOf(44); at >= 0 && commas <= MOST_COMMAS; at = bytes.indexOf(44, at + 1)) commas++;
  if (commas > MOST_COMMAS) {
    throw new PageError("refused", `head ${shown(name)} holds more than ${MOST_COMMAS} values, which no head does`);
  }
  try {
    return fieldsOf(parse(bytes));
  } catch (error) {
    if (error instanceof PageError) throw new PageError(error.kind, `head ${shown(name)}: ${error.message}`);
    throw error;
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString("en")} MB`;
}

function parse(bytes: Uint8Array): Plain {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return refuse("no JSON; expected a file that tessera fit or this page wrote");
  }
  if (!isObject(value) || !Object.hasOwn(value, "format")) {
    return refuse("no head file; expected one that tessera fit or this page wrote (.json)");
  }
  return value;
}

function fieldsOf(value: Plain): Head {
  if (value["format"] !== FORMAT) refuse(`format ${shown(value["format"])}; expected ${shown(FORMAT)}`);
  const version = value["version"];
  if (version === 1 || version === 2) {
    refuse(
      `version ${version}, of an earlier release; this page reads version ${VERSION}. Save it again with Python ` +
        "(tessera.load_head(path).save(path)), or fit it again",
    );
  }
  if (version !== VERSION) refuse(`version ${shown(version)}; this page reads version ${VERSION}`);
  objectOf(value, KEYS, "it");
  if (!isShallow(value, MOST_DEPTH)) refuse(`nested deeper than ${MOST_DEPTH} levels`);
  const kind = value["head"];
  if (kind === "unet") refuse('a "unet" looks at the pixels around one; this page draws heads of single pixels');
  if (!isKind(kind)) return refuse(`head ${shown(kind)}; this page reads ${KINDS.join(", ")}`);
  const classes = textsOf(value["classes"], "classes", MOST_CLASSES);
  const predicts = value["kind"];
  if (predicts !== "classification" && predicts !== "regression") {
    return refuse(`kind ${shown(predicts)}; expected classification or regression`);
  }
  if (
    (predicts === "classification") !== classes.length > 1 ||
    new Set(classes).size < classes.length ||
    classes.includes("")
  ) {
    refuse(
      `${classes.length} classes of ${predicts}; expected 2 to ${MOST_CLASSES} distinct names, or none of numbers`,
    );
  }
  const values = mapValues(classes);
  if (!Array.isArray(value["values"]) || value["values"].join() !== values.join()) {
    refuse(`values ${shown(value["values"])}; expected ${shown(values)}, which the classes' names give`);
  }
  const colours = textsOf(value["colours"], "colours", MOST_COLOURS).map((one) => one.toLowerCase());
  const odd = colours.find((one) => !/^#[0-9a-f]{6}$/.test(one));
  if (odd !== undefined) refuse(`colour ${shown(odd)}; expected the form "#1f7a3a"`);
  if (classes.length && colours.length !== classes.length)
    refuse(`${colours.length} colours of ${classes.length} classes`);
  const head: Head = {
    head: kind,
    kind: predicts,
    classes,
    values,
    colours,
    column: textOf(value["column"], "column"),
    inputs: inputsOf(value["inputs"]),
    arrays: unpack(value["arrays"], "arrays"),
    rest: Object.fromEntries(REST.map((key) => [key, value[key]])),
  };
  modelOf(head);
  return head;
}

function isKind(value: unknown): value is HeadKind {
  return KINDS.some((kind) => kind === value);
}

function inputsOf(value: unknown): readonly HeadInput[] {
  if (!Array.isArray(value) || !value.length || value.length > 64)
    return refuse(`inputs ${shown(value)}; expected 1 to 64`);
  return value.map((one: unknown) => {
    const input = objectOf(one, ["year", "dims", "model", "store"], "an input");
    const model = objectOf(input["model"], ["name", "sha256", "dims", "prefix_dims"], "the model of an input");
    const [sha256, prefixes] = [textOf(model["sha256"], "sha256"), model["prefix_dims"]];
    if (!/^[0-9a-f]{64}$/.test(sha256)) refuse(`model identity ${shown(sha256)}; expected 64 hexadecimal digits`);
    const whole = countOf(model["dims"], "dims of the model");
    const dims = countOf(input["dims"], "dims");
    if (dims > whole) refuse(`a head on ${dims} dims of a model of ${whole}`);
    if (!Array.isArray(prefixes) || prefixes.length > 64) refuse(`prefix_dims ${shown(prefixes)}; expected a list`);
    return {
      year: countOf(input["year"], "year"),
      dims,
      model: {
        name: textOf(model["name"], "name of the model"),
        sha256,
        dims: whole,
        prefix_dims: Array.isArray(prefixes) ? prefixes.map((size: unknown) => countOf(size, "prefix_dims")) : [],
      },
      store: textOf(input["store"], "store"),
    };
  });
}

/** Whether plain values are nested at most so deep; what is written again must not be deeper than Python reads. */
function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  return Object.values(value).every((one: unknown) => isShallow(one, levels - 1));
}

/** The value of each class on a map: a whole number from 0 to 254 is its own, others take the least that is free. */
export function mapValues(classes: readonly string[]): readonly number[] {
  const own = (name: string) =>
    /^(0|[1-9][0-9]{0,2})$/.test(name) && Number(name) < NO_DATA ? Number(name) : undefined;
  const taken = new Set(classes.map(own));
  let next = 0;
  return classes.map((name) => {
    const value = own(name);
    if (value !== undefined) return value;
    while (taken.has(next)) next++;
    return next++;
  });
}

/** The file of a head, which Python reads (`tessera.load_head`). */
export function writeHead(head: Head): Uint8Array<ArrayBuffer> {
  modelOf(head);
  const { span, trust, applicability, metrics, provenance } = head.rest;
  const inputs = head.inputs.map((input) => {
    if (input.year === null) refuse("a head without a year; expected the year that it learnt from");
    return { year: input.year, dims: input.dims, model: input.model, store: input.store };
  });
  const value = {
    format: FORMAT,
    version: VERSION,
    head: head.head,
    kind: head.kind,
    classes: head.classes,
    values: head.values,
    colours: head.colours,
    span: span ?? null,
    column: head.column,
    inputs,
    arrays: pack(head.arrays),
    trust: trust ?? null,
    applicability: applicability ?? null,
    metrics,
    provenance: provenance ?? {},
  };
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
