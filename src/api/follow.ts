/**
 * A live stream of entries for one client, with a bounded buffer: a client that does not read is cut off, nobody waits for
 * it. Knows nothing of sockets; backpressure is the stream's own.
 */
import type { HistoryEntry } from '../core/entry.js';

export type FollowFormat = 'sse' | 'ndjson';

/** Entries kept for a client that does not read just now. */
const MAX_WAITING = 256;
/** So that a dead client shows, and proxies keep the connection. */
const HEARTBEAT_MS = 15_000;

/**
 * @param past sent first, never dropped
 * @param subscribe returns how to unsubscribe; called before this function returns
 * @returns one JSON object per line, or server-sent events (WHATWG HTML, section 9.2). An empty line or comment is a heartbeat;
 *   a last line `{"cut": reason}` says that this client was too slow and has missed the rest.
 */
export function followStream(
  past: readonly HistoryEntry[],
  subscribe: (listener: (entry: HistoryEntry) => void) => () => void,
  format: FollowFormat,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const encode = (entry: HistoryEntry): Uint8Array => {
    const json = JSON.stringify(entry);
    return encoder.encode(format === 'sse' ? `event: ${entry.kind}\nid: ${entry.wallMs}\ndata: ${json}\n\n` : `${json}\n`);
  };
  const heartbeat = encoder.encode(format === 'sse' ? ': still here\n\n' : '\n');

  const cutText = JSON.stringify({ cut: 'the client does not read fast enough' });
  const cut = encoder.encode(format === 'sse' ? `event: cut\ndata: ${cutText}\n\n` : `${cutText}\n`);

  const waiting: HistoryEntry[] = [...past];
  const allowed = past.length + MAX_WAITING;
  let wanted: ReadableStreamDefaultController<Uint8Array> | null = null;
  let unsubscribe: () => void = () => undefined;
  let beat: NodeJS.Timeout | null = null;

  const stop = (): void => {
    unsubscribe();
    if (beat !== null) clearInterval(beat);
    beat = null;
    waiting.length = 0;
  };
  const hand = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    while (waiting.length > 0 && (controller.desiredSize ?? 0) > 0) {
      const entry = waiting.shift();
      if (entry !== undefined) controller.enqueue(encode(entry));
    }
    wanted = (controller.desiredSize ?? 0) > 0 ? controller : null;
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        unsubscribe = subscribe((entry) => {
          waiting.push(entry);
          if (wanted !== null) hand(wanted);
          if (waiting.length > allowed) {
            stop();
            // The client must not believe that it has seen everything. (An error here would be printed by the server.)
            controller.enqueue(cut);
            controller.close();
          }
        });
        // The first byte tells the client that it is subscribed, before anything happens.
        controller.enqueue(heartbeat);
        beat = setInterval(() => {
          if (wanted !== null) wanted.enqueue(heartbeat);
        }, HEARTBEAT_MS);
        beat.unref();
      },
      pull(controller) {
        hand(controller);
      },
      cancel: stop,
    },
    { highWaterMark: 16 },
  );
}
