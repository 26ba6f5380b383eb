/**
 * What tests may leave behind: network namespaces of our names, labs noted in /run, programs of this clone that still run.
 * Only looks. Plain Node.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `br-LAB-NODE` of the lab, `brkPID-N` of the kernel adapter's tests. */
const OUR_NAMESPACE = /^br(-|k\d)/;

/** Names of what is there now, e.g. `namespace br-demo-client`, `process 4711 (node …)`. */
export function traces(root) {
  return new Set([
    ...names('/run/netns')
      .filter((name) => OUR_NAMESPACE.test(name))
      .map((name) => `namespace ${name}`),
    ...names('/run/backroute-lab').map((name) => `file /run/backroute-lab/${name}`),
    ...names('/proc').flatMap((pid) => program(root, pid)),
  ]);
}

/** Looks until nothing is new since `before`, `patienceMs` at the most; resolves with what is. */
export async function leftSince(before, root, patienceMs) {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const left = [...traces(root)].filter((trace) => !before.has(trace));
    if (left.length === 0 || Date.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function program(root, pid) {
  if (!/^\d+$/.test(pid)) return [];
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const ours = words.some((word) => word.startsWith(join(root, 'dist/')) || word === join(root, 'bin/backroute'));
    return ours ? [`process ${pid} (${words.join(' ').trim().slice(0, 120)})`] : [];
  } catch {
    // It ended between the two looks.
    return [];
  }
}

function names(dir) {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
