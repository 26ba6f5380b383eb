/**
 * The benchmark's labs: answers take 20 ms on every uplink; gone when the work is done, however it ends.
 */
import { Lab } from '../src/lab/lab.js';
import { type TopologyName, topologies } from '../src/lab/topologies.js';

/** of an answer, on every uplink */
export const RTT_MS = 20;

let current: Lab | null = null;

export async function withLab<T>(topology: TopologyName, work: (lab: Lab) => Promise<T>): Promise<T> {
  const links = Object.fromEntries(topologies[topology].uplinks.map(({ name }) => [name, { delayMs: RTT_MS / 2 }]));
  const lab = await Lab.create(topology, { links });
  current = lab;
  try {
    return await work(lab);
  } finally {
    current = null;
    await lab.destroy();
  }
}

/** For a way out in the middle of the work. */
export async function destroyCurrentLab(): Promise<void> {
  await current?.destroy();
}
