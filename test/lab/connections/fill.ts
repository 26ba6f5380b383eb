/**
 * Fills conntrack in the network namespace it runs in: so many TCP connections of the lab's client with a mark. Arguments: how
 * many, and the mark. Prints how long that took, ms.
 */
import { type EntrySpec, makeEntries } from '../../../bench/conntrack.js';

const PORTS = 60_000;

function* connections(count: number, mark: number): Generator<EntrySpec> {
  for (let at = 0; at < count; at++) {
    yield {
      family: 4,
      protocol: 'tcp',
      source: Uint8Array.of(192, 168, 1, 10),
      destination: Uint8Array.of(203, 0, 113, 1 + Math.floor(at / PORTS)),
      sourcePort: 1024 + (at % PORTS),
      destinationPort: 443,
      mark,
    };
  }
}

const [count, mark] = process.argv.slice(2).map(Number);
const beganMs = performance.now();
makeEntries(connections(count ?? 0, mark ?? 0));
process.stdout.write(`${performance.now() - beganMs}\n`);
