/** One keeper in front of a fake kernel, driven by hand: what it asks for is carried out at once and answered. */

import type { KernelOp, KernelState, OpResult } from '../../../../src/core/kernel.js';
import type { HistoryRecord, RestoreMemory, SavedState } from '../../../../src/core/messages.js';
import { Keeper } from '../../../../src/core/plan/keeper.js';
import type { PlanInput } from '../../../../src/core/plan/plan.js';
import { sysctlKeys } from '../../../../src/core/plan/plan-sysctls.js';
import type { FakeKernel } from '../../../support/fake-kernel.js';
import { NUMBERS } from '../../../support/topology.js';

export const NOTHING_REMEMBERED: RestoreMemory = { bootId: 'boot', routes: [], sysctls: {}, hadDefault: null };

export class KeeperBench {
  readonly kernel: FakeKernel;
  readonly keeper: Keeper;
  readonly records: HistoryRecord[] = [];
  readonly wakes: number[] = [];
  readonly results: OpResult[] = [];
  /** how often something was to be written to disk */
  saves = 0;
  now = 0;
  #unanswered: OpResult[] = [];

  constructor(kernel: FakeKernel, memory: RestoreMemory = NOTHING_REMEMBERED) {
    this.kernel = kernel;
    this.keeper = new Keeper(memory, {
      apply: (ops: readonly KernelOp[]) => {
        this.#unanswered.push(...kernel.applyNow(ops));
      },
      record: (record) => this.records.push(record),
      remembered: () => {
        this.saves += 1;
      },
      wakeAt: (atMs) => this.wakes.push(atMs),
    });
  }

  snapshot(): KernelState {
    const interfaces = this.kernel.state.links.map((l) => l.name).filter((name) => name !== 'lo');
    const tables = Array.from({ length: 63 }, (_, slot) => NUMBERS.tableBase + slot);
    return this.kernel.snapshotNow({ tables, sysctls: sysctlKeys(interfaces), nft: true });
  }

  /** The kernel is read, then compared with the plan. @returns how many operations that made */
  look(input: PlanInput): number {
    this.keeper.see(this.snapshot());
    return this.reconcile(input, true);
  }

  /** Compared without being read again. */
  reconcile(input: PlanInput, seenAnew = false): number {
    const before = this.results.length;
    this.keeper.reconcile(input, NUMBERS, seenAnew, this.now);
    const results = this.#unanswered;
    this.#unanswered = [];
    this.results.push(...results);
    if (results.length > 0) this.keeper.applied(results, this.now);
    return this.results.length - before;
  }

  /** Looks until nothing is left to do. */
  settle(input: PlanInput): void {
    for (let round = 0; round < 6; round += 1) if (this.look(input) === 0) return;
    throw new Error('it never comes to rest');
  }

  told(kind: HistoryRecord['kind']): string[] {
    return this.records.filter((r) => r.kind === kind).map((r) => r.text);
  }

  saved(): SavedState {
    return {
      version: 1,
      slots: {},
      forced: null,
      disabled: [],
      names: {},
      active: {},
      failures: {},
      // through JSON and back, as through the disk
      restore: JSON.parse(JSON.stringify(this.keeper.memory)) as RestoreMemory,
    };
  }
}
