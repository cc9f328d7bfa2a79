// An HTTP server of files that fails on demand.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly status: number;
}

/** What happens to a request: a status, a lost connection, a body cut short. Undefined is as it should be. */
export type Fault = number | "drop" | "cut" | { readonly status: number; readonly retryAfter: number };

export interface Served {
  readonly url: string;
  readonly asked: Asked[];
  readonly files: Map<string, Uint8Array>;
  /** Answers to the next requests of a path, in order. */
  fault: (path: string, range: string | undefined) => Fault | undefined;
  ignoresRanges: boolean;
  etags: "strong" | "weak" | "none";
  delay: number; // ms
  close(): Promise<void>;
}

export async function serve(files: Map<string, Uint8Array>): Promise<Served> {
  const server = createServer((request, response) => {
    setTimeout(() => answer(request, response), served.delay);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const served: Served = {
    url: `http://127.0.0.1:${port}`,
    asked: [],
    files,
    fault: () => undefined,
    ignoresRanges: false,
    etags: "strong",
    delay: 0,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  const known = new WeakMap<Uint8Array, string>();
  return served;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent((request.url ?? "/").slice(1));
    const { range } = request.headers;
    const send = (status: number, body?: Uint8Array, cut = false) => {
      served.asked.push({ method: request.method ?? "", path, range, status });
      response.statusCode = status;
      response.setHeader("Content-Length", body?.length ?? 0);
      if (request.method === "HEAD") response.end();
      else if (cut) response.write(body?.subarray(0, body.length >> 1), () => response.destroy());
      else response.end(body);
    };
    const fault = served.fault(path, range);
    if (fault === "drop") {
      served.asked.push({ method: request.method ?? "", path, range, status: 0 });
      request.destroy();
      return;
    }
    if (typeof fault === "number") return send(fault);
    if (typeof fault === "object") {
      response.setHeader("Retry-After", fault.retryAfter);
      return send(fault.status);
    }
    const file = served.files.get(path);
    if (file === undefined) return send(404);
    const etag = known.get(file) ?? `"${file.length}-${file.reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7)}"`;
    known.set(file, etag);
    if (served.etags !== "none") response.setHeader("ETag", served.etags === "weak" ? `W/${etag}` : etag);
    const found = served.ignoresRanges ? null : /^bytes=(\d*)-(\d*)$/.exec(range ?? "");
    if (!found) return send(200, file, fault === "cut");
    const start = found[1] ? Number(found[1]) : Math.max(0, file.length - Number(found[2]));
    const end = found[1] && found[2] ? Math.min(file.length, Number(found[2]) + 1) : file.length;
    if (start >= file.length) return send(416);
    response.setHeader("Content-Range", `bytes ${start}-${end - 1}/${file.length}`);
    send(206, file.subarray(start, end), fault === "cut");
  }
}
