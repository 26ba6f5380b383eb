/**
 * `backroute cleanup`: takes everything of ours out of the kernel and puts back what was there before. Needs no daemon,
 * and refuses beside one, which would repair what this removes.
 */
import { join } from 'node:path';
import { BUILT_IN } from '../../config/defaults.js';
import { loadConfig } from '../../config/load.js';
import type { KernelNumbers } from '../../core/config.js';
import type { Kernel, KernelOp, OpResult } from '../../core/kernel.js';
import type { SavedState } from '../../core/messages.js';
import { cleanupRequest, nothingRemembered, ofThisBoot, planCleanup } from '../../core/plan/cleanup.js';
import { describeOp } from '../../core/plan/op-text.js';
import { ensureWritable, LOCK_FILE, loadState, StateStore } from '../../history/state-store.js';
import { bootId } from '../../kernel/boot.js';
import { RtnlKernel } from '../../kernel/kernel.js';
import { lockFile, lockHolder } from '../../kernel/lock.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import type { Places } from '../places.js';

/** Others may change routes meanwhile: what is left is looked for again, a few times. */
const MAX_ROUNDS = 3;

export async function cleanup(places: Places, options: { readonly dryRun?: boolean }, io: Io): Promise<void> {
  const dryRun = options.dryRun === true;
  const lock = dryRun ? null : await takeLock(places.stateDir);
  const kernel = new RtnlKernel();
  try {
    const { saved: found, problem } = await loadState(places.stateDir);
    const saved = ofThisBoot(found, bootId());
    if (problem !== null) io.err(`${problem}\n`);
    // What stands was made by the numbers of the last run, whatever the file says now.
    const numbers = saved?.numbers ?? (await numbersOf(places, io));
    const results = await clean(kernel, numbers, saved, dryRun, io);
    const failed = results.filter((result) => !result.ok);
    if (failed.length > 0) throw refusal(failed);
    if (dryRun) return;
    if (saved !== null) await forgetRestored(places.stateDir, saved);
    io.out(results.length === 0 ? 'Nothing of backroute was left in the kernel.\n' : `${results.length} changes undone.\n`);
  } finally {
    await kernel.close();
    lock?.release();
  }
}

/** @returns what was done, and what failed in the last round: that really failed */
async function clean(
  kernel: Kernel,
  numbers: KernelNumbers,
  saved: SavedState | null,
  dryRun: boolean,
  io: Io,
): Promise<readonly OpResult[]> {
  const done: OpResult[] = [];
  for (let round = 1; ; round += 1) {
    const state = await kernel.snapshot(cleanupRequest(numbers, saved));
    const ops: readonly KernelOp[] = planCleanup(state, numbers, saved);
    if (dryRun) for (const op of ops) io.out(`${io.paint('dim', describeOp(op, state, numbers))}\n`);
    if (dryRun || ops.length === 0) return done;
    const results = (await kernel.apply(ops)).filter((result) => !alreadySo(result));
    for (const { op, ok } of results) if (ok) io.out(`${io.paint('dim', describeOp(op, state, numbers))}\n`);
    done.push(...results.filter(({ ok }) => ok));
    const failed = results.filter(({ ok }) => !ok);
    if (results.length === 0 || failed.length === results.length || round === MAX_ROUNDS) return [...done, ...failed];
  }
}

/** Put back or taken away before, by us or by somebody else. */
function alreadySo({ op, errno }: OpResult): boolean {
  if (errno === 'EEXIST') return op.op === 'route-append' || op.op === 'route-add';
  return (errno === 'ESRCH' || errno === 'ENOENT') && (op.op === 'route-delete' || op.op === 'rule-delete');
}

async function numbersOf(places: Places, io: Io): Promise<KernelNumbers> {
  const result = await loadConfig(places.configPath);
  if (result.ok) return result.config.kernel;
  io.err(`${places.configPath} cannot be used: the built-in table, rule and mark numbers are taken\n`);
  return BUILT_IN.kernel;
}

async function takeLock(stateDir: string): Promise<{ release(): void }> {
  const path = join(stateDir, LOCK_FILE);
  try {
    await ensureWritable(stateDir);
  } catch (error) {
    throw new ExitError(3, `the state directory ${stateDir} cannot be written: ${(error as Error).message}`, 'run it as root');
  }
  const lock = lockFile(path);
  if (lock !== null) return lock;
  const pid = lockHolder(path);
  throw new ExitError(
    1,
    `backroute is running${pid === null ? '' : ` as process ${pid}`}: it would put back what cleanup takes away`,
    'stop it first: systemctl stop backroute',
  );
}

/** Put back once, it must not be put back again by a later cleanup. Orders (forced, disabled) are kept. */
async function forgetRestored(stateDir: string, saved: SavedState): Promise<void> {
  let trouble: string | null = null;
  const store = new StateStore(stateDir, (message) => {
    trouble = message;
  });
  // Nothing stands under these numbers any more: the next start is free to take others.
  const { numbers: _gone, ...kept } = saved;
  store.save({ ...kept, active: {}, restore: nothingRemembered(saved.restore.bootId) });
  await store.flushed();
  if (trouble !== null) throw new ExitError(1, `the kernel is clean, but the memory of it cannot be written: ${trouble}`);
}

function refusal(failed: readonly OpResult[]): ExitError {
  const lines = failed.map(({ op, errno, message }) => `${op.op}: ${message ?? errno ?? 'failed'}`);
  const permission = failed.some(({ errno }) => errno === 'EPERM' || errno === 'EACCES');
  return new ExitError(3, ['the kernel refused:', ...new Set(lines)].join('\n  '), permission ? 'run it as root' : null);
}
