/** What is remembered of the time before us, when the engine stops: nothing is put back twice, nothing forgotten too early. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../../../src/core/engine.js';
import type { KernelOp } from '../../../src/core/kernel.js';
import type { Effect, Event, SavedState, Surroundings } from '../../../src/core/messages.js';
import { cleanupRequest, planCleanup } from '../../../src/core/plan/cleanup.js';
import type { FakeKernel } from '../../support/fake-kernel.js';
import { withDefault } from '../../support/story.js';
import { config, separate, type Topology } from '../../support/topology.js';

const AROUND: Surroundings = { bootId: 'boot-1', gid: 0, random: () => 0.5, wallMs: (ms) => 1_800_000_000_000 + ms };

/** fast by wan0, backup by wan1; the system's own default goes by fast. */
function network(onStop: 'keep' | 'restore'): Topology {
  const topology = separate(['fast', 'backup']);
  const { uplinks } = topology.config;
  const changed = { ...topology, config: config(uplinks, { onStop, masquerade: true }) };
  return withDefault(changed, '10.0.0.1', 'wan0');
}

/** An engine whose effects are carried out at once, whose probes are all answered. When nft is done is up to the test. */
class Run {
  readonly engine: Engine;
  readonly #kernel: FakeKernel;
  readonly #disk: { saved: SavedState | null };
  nftIsSlow = false;
  /** results that nobody has told yet */
  readonly late: Event[] = [];

  constructor(topology: Topology, disk: { saved: SavedState | null }) {
    this.engine = new Engine(topology.config, AROUND, disk.saved);
    this.#kernel = topology.kernel;
    this.#disk = disk;
  }

  start(): void {
    this.#carryOut(this.engine.start(1000));
    this.see();
  }

  see(): void {
    this.tell({ type: 'kernel-seen', state: this.#kernel.snapshotNow(this.engine.snapshotRequest()) });
  }

  tell(event: Event): void {
    this.#carryOut(this.engine.handle(event, 1001));
  }

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) if (effect.type === 'save') this.#disk.saved = effect.saved;
    for (const effect of effects) {
      if (effect.type === 'apply') this.#apply(effect.ops);
      else if (effect.type === 'probe')
        this.tell({ type: 'probe-answered', id: effect.ask.id, rttMs: 5, duplicate: false, note: null });
    }
  }

  #apply(ops: readonly KernelOp[]): void {
    const event: Event = { type: 'ops-applied', results: this.#kernel.applyNow(ops) };
    if (this.nftIsSlow && ops.some((op) => op.op === 'nft-table')) this.late.push(event);
    else this.tell(event);
  }
}

const defaultsOf = (kernel: FakeKernel): string[] =>
  kernel.state.routes.filter((r) => r.family === 4 && r.destination === 'default' && r.table === 254).map((r) => `${r.protocol}`);

function cleanUp(topology: Topology, saved: SavedState | null): void {
  const { kernel } = topology.config;
  const state = topology.kernel.snapshotNow(cleanupRequest(kernel, saved));
  for (const op of planCleanup(state, kernel, saved)) assert.equal(topology.kernel.foreign(op), null);
}

for (const onStop of ['keep', 'restore'] as const) {
  test(`an operation that was still under way when it stopped does not end the memory (on-stop: ${onStop})`, () => {
    const topology = network(onStop);
    const before = topology.kernel.render();
    const disk: { saved: SavedState | null } = { saved: null };
    const run = new Run(topology, disk);
    run.nftIsSlow = true;
    run.start();
    assert.ok(run.late.length > 0, 'nft is not done');
    run.tell({ type: 'stopping' });
    const [first] = run.late;
    run.tell(first ?? assert.fail());
    if (onStop === 'keep') {
      assert.deepEqual(disk.saved?.restore.hadDefault, [4]);
      assert.equal(disk.saved?.restore.routes.length, 1);
      cleanUp(topology, disk.saved);
    } else {
      assert.notEqual(disk.saved?.restore.hadDefault, null, 'nobody knows yet whether it was put back');
      run.tell(run.late[1] ?? assert.fail('the cleanup takes the table away'));
      assert.equal(disk.saved?.restore.hadDefault, null);
      assert.deepEqual([disk.saved?.restore.routes, disk.saved?.restore.sysctls], [[], {}]);
    }
    assert.equal(topology.kernel.render(), before);
  });
}

test('who comes again after everything was put back looks anew how things are', () => {
  const topology = network('restore');
  const disk: { saved: SavedState | null } = { saved: null };
  for (const life of [1, 2]) {
    const run = new Run(topology, disk);
    run.start();
    assert.deepEqual(disk.saved?.restore.hadDefault, [4], `life ${life}`);
    if (life === 2) {
      // The way that the default went by before is gone: only ours, by the other uplink, is left to keep.
      topology.kernel.removeLink('wan0');
      run.see();
      assert.deepEqual(defaultsOf(topology.kernel), ['110'], 'by the backup');
    }
    run.tell({ type: 'stopping' });
    assert.equal(defaultsOf(topology.kernel).length, 1, `life ${life}`);
  }
  assert.deepEqual(defaultsOf(topology.kernel), ['4'], 'the last choice stays, as nobody’s');
});
