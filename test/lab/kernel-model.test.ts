/** The core's kernel model beside a real kernel: the same operations, the same answers, the same routes and rules. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { KernelOp, KernelState } from '../../src/core/kernel.js';
import { applyOp } from '../../src/core/plan/kernel-model.js';
import { RtnlKernel } from '../../src/kernel/kernel.js';
import { RequestSession } from '../../src/kernel/netlink/session.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { linkNames, renderOp } from '../support/render-kernel.js';
import {
  addTun,
  appendsToHidden,
  carryOutRaw,
  clearOfChaos,
  randomDeletion,
  randomRoute,
  randomRule,
  render,
  TABLE,
  TUN,
} from './kernel-chaos.js';
import { enterTestNamespace, needsRoot, type TestNamespace } from './kernel-namespace.js';

const STEPS = 300;
const ROUNDS = 8;

function onlyIn(text: string, other: string): string {
  return text
    .split('\n')
    .filter((line) => !other.split('\n').includes(line))
    .join('\n');
}

describe('kernel model', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  const kernel = new RtnlKernel();
  const session = new RequestSession();
  const read = (): Promise<KernelState> => kernel.snapshot({ tables: [TABLE], sysctls: [], nft: false });

  const carryOut = (op: KernelOp): Promise<string | null> => carryOutRaw(kernel, session, op);

  before(async () => {
    namespace = enterTestNamespace();
    addTun(namespace);
    assert.equal((await read()).links.find((link) => link.name === 'tun0')?.index, TUN);
  });
  after(async () => {
    session.close();
    await kernel.close();
  });

  // Apart, because a rule changes which gateways the kernel believes to be reachable.
  const kinds: readonly (readonly [string, (random: Random, model: KernelState) => KernelOp])[] = [
    [
      'routes',
      (random, model) => {
        const op = random.pick(['route-replace', 'route-add', 'route-append', 'route-delete'] as const);
        if (op === 'route-delete') return { op, route: randomDeletion(random, model) };
        const route = randomRoute(random);
        return { op: op === 'route-append' && appendsToHidden(model, route) ? 'route-replace' : op, route };
      },
    ],
    ['rules', (random) => ({ op: random.pick(['rule-add', 'rule-add', 'rule-delete'] as const), rule: randomRule(random) })],
  ];
  for (const [what, randomOp] of kinds) {
    test(`random ${what}, ${ROUNDS} times ${STEPS}`, async (t) => {
      const seed = seedFromEnvironment();
      t.diagnostic(`BACKROUTE_SEED=${seed}`);
      const random = new Random(seed);
      const outcomes = new Map<string, number>();
      for (let round = 0; round < ROUNDS; round++) {
        await clearOfChaos(kernel, session);
        let model = await read();
        assert.equal(render(model), '');
        const names = linkNames(model.links);
        const story: string[] = [];
        for (let step = 0; step < STEPS; step++) {
          const op = randomOp(random, model);
          const expected = applyOp(model, op);
          const errno = await carryOut(op);
          story.push(`${renderOp(op, names)}: ${errno ?? 'ok'}, says the kernel; ${expected.errno ?? 'ok'}, says the model`);
          const told = `BACKROUTE_SEED=${seed}, round ${round}, from\n${render(model)}\n${story.slice(-3).join('\n')}`;
          assert.equal(expected.errno, errno, told);
          const [wanted, seen] = [render(expected.state), render(await read())];
          assert.equal(wanted, seen, `${told}\nthe model has\n${onlyIn(wanted, seen)}\nthe kernel has\n${onlyIn(seen, wanted)}`);
          outcomes.set(`${op.op} ${errno ?? 'ok'}`, (outcomes.get(`${op.op} ${errno ?? 'ok'}`) ?? 0) + 1);
          model = expected.state;
        }
      }
      t.diagnostic([...outcomes].map(([outcome, count]) => `${outcome}: ${count}`).join(', '));
    });
  }
});
