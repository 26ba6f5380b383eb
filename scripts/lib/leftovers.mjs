/**
 * What tests may leave behind: network namespaces of our names, labs noted in /run, programs of this clone that still run. What a
 * living process holds is not left behind: that process is, if it is of this clone. Only looks. Plain Node.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LABS = '/run/backroute-lab';

/** Names of what is there now, e.g. `namespace br-demo-client`, `process 4711 (node …)`. */
export function traces(root) {
  const held = heldLabs();
  const isHeld = (name) => held.some((lab) => name === lab || name === `${lab}.json` || name.startsWith(`br-${lab}-`));
  return new Set([
    ...names('/run/netns')
      .filter((name) => isOurNamespace(name) && !isHeld(name))
      .map((name) => `namespace ${name}`),
    ...names(LABS)
      .filter((name) => !isHeld(name))
      .map((name) => `file ${LABS}/${name}`),
    ...names('/proc').flatMap((pid) => program(root, pid)),
  ]);
}

/** `br-LAB-NODE` of a lab; `brkPID-N` of the kernel adapter's tests, held by the process of that number. */
function isOurNamespace(name) {
  const pid = /^brk(\d+)-/.exec(name)?.[1];
  return pid === undefined ? name.startsWith('br-') : !existsSync(`/proc/${pid}`);
}

/** Labs that go with a process which lives. */
function heldLabs() {
  return names(LABS).flatMap((name) => {
    try {
      const { builder } = JSON.parse(readFileSync(join(LABS, name), 'utf8'));
      const stat = readFileSync(`/proc/${builder.pid}/stat`, 'latin1');
      // A number that went to another process since has another start time: proc(5), field 22.
      const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      return startTicks === builder.startTicks ? [name.replace(/\.json$/, '')] : [];
    } catch {
      // No state file, nobody's lab, or its builder is gone.
      return [];
    }
  });
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
