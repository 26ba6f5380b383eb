/** Two hundred mails while the fast uplink fails and comes back: the proof of the whole. Needs root and Postfix. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicMs } from '../../../src/lab/clock.js';
import { eventually } from '../proof/gateway.js';
import { filesWithSecret, header, office, SECRET_WORD, SecretWatch } from './office.js';

const COUNT = 200;
const INTERVAL_MS = 100;
const DRAINED_WITHIN_MS = 10_000;
/** How far the told duration of an outage may be off: two probe intervals, a burst, and the machine. */
const DURATION_OFF_MS = 1_500;

office(
  '200 mails while fast fails and comes back: none lost, none bounced, each by its own way',
  { timeout: 180_000, defaults: { 'fail-after': '1s' } },
  async (o) => {
    const { gateway, postfix, smarthosts, mailbox } = o;
    const { lab } = gateway;
    const [fast, backup] = [smarthosts.fast ?? assert.fail(), smarthosts.backup ?? assert.fail()];
    const watch = new SecretWatch();
    await gateway.start();
    await gateway.judged();
    await eventually('the relay follows fast', async () => (await gateway.status()).services[0]?.verified === true);

    const polls: { atMs: number; deferred: number }[] = [];
    const switches: number[] = [];
    let polling = true;
    const poll = (async () => {
      // A story that fails takes Postfix with it, and shall be told of by its own words.
      while (polling && existsSync(postfix.config)) {
        polls.push({ atMs: monotonicMs(), deferred: o.deferred() });
        await new Promise((resolve) => setTimeout(resolve, 100).unref());
      }
    })();
    const sending = o.send(COUNT, INTERVAL_MS);
    await eventually('the first mails have gone by fast', () => fast.subjects().length >= 20);
    const cut = await lab.cut('fast', 'silent');
    await gateway.goesBy('backup');
    switches.push(monotonicMs());
    await eventually('mails go by backup', () => backup.subjects().length >= 60);
    const mended = await lab.mend('fast');
    await gateway.goesBy('fast');
    switches.push(monotonicMs());
    const sent = await sending;
    assert.deepEqual(
      sent.filter(({ error }) => error !== null),
      [],
      'the gateway takes every mail',
    );
    const everything = () => new Set([...fast.subjects(), ...backup.subjects()]);
    await eventually('every mail has arrived', () => everything().size === COUNT && postfix.queue().length === 0, 30_000);
    await eventually('the last switch is told', () => mailbox.taken.length >= 4);
    polling = false;
    await poll;
    await watch.end();

    const all = [...fast.taken, ...backup.taken];
    assert.deepEqual([fast.refused, backup.refused], [[], []], 'no mail came to a provider by another way');
    assert.deepEqual(
      all.filter(({ from }) => from === ''),
      [],
      'nothing bounced',
    );
    for (const { source } of fast.taken) assert.equal(source, '212.254.0.2');
    for (const { source } of backup.taken) assert.equal(source, '212.254.1.2');

    // Postfix says so itself where an answer was lost.
    const log = postfix.logText();
    const inDoubt = (log.match(/while sending end of data -- message may be sent more than once/g) ?? []).length;
    const deferred = new Set(log.match(/[0-9A-F]+(?=: to=<[^>]*>,.* status=deferred)/g)).size;
    assert.ok(deferred > 0, 'the failure met mails on their way');
    const twice = all.length - everything().size;
    assert.ok(twice <= inDoubt, `${twice} came twice, ${inDoubt} answers were lost`);

    const drained = switches.map((atMs, i) => {
      const later = polls.filter((one) => one.atMs >= atMs && one.atMs < (switches[i + 1] ?? Number.POSITIVE_INFINITY));
      return (later.findLast(({ deferred }) => deferred > 0)?.atMs ?? atMs) - atMs;
    });
    for (const ms of drained)
      assert.ok(ms < DRAINED_WITHIN_MS, `the deferred queue was empty ${drained.join(', ')} ms after the switches`);

    // The stricter measure: what the gateway held at the switch, wherever in its queue.
    const arrived = (number: number): number =>
      Math.min(...all.filter(({ raw }) => header(raw, 'Subject') === `mail ${number}`).map(({ atMs }) => atMs));
    const settled = switches.map((atMs) => {
      const before = sent.filter((one) => one.atMs < atMs).map(({ number }) => arrived(number));
      return Math.max(0, ...before.map((ms) => ms - atMs));
    });
    for (const ms of settled)
      assert.ok(ms < DRAINED_WITHIN_MS, `what was held at the switches arrived ${settled.join(', ')} ms after them`);

    const told = mailbox.taken.map(({ raw }) => raw);
    const subjects = told.map((raw) => header(raw, 'Subject') ?? '');
    const down = told.find((raw) => /fast is down/.test(header(raw, 'Subject') ?? '')) ?? assert.fail(subjects.join('\n'));
    const up = told.find((raw) => /fast is up again/.test(header(raw, 'Subject') ?? '')) ?? assert.fail(subjects.join('\n'));
    assert.ok(
      subjects.some((one) => /IPv4 moved from fast to backup/.test(one)),
      subjects.join('\n'),
    );
    assert.ok(
      subjects.some((one) => /IPv4 is back on fast/.test(one)),
      subjects.join('\n'),
    );
    const first = header(down, 'Message-ID');
    for (const raw of told)
      if (raw !== down) assert.deepEqual([header(raw, 'In-Reply-To'), header(raw, 'References')], [first, first]);
    const health = (await gateway.events()).filter((one) => one.kind === 'health' && one.uplink === 'fast');
    const record = health.find((one) => one.from === 'down');
    assert.ok(record !== undefined);
    const toldMs = /after ([\d.]+) s$/.exec(header(up, 'Subject') ?? '')?.[1];
    const wasMs = mended.monotonicMs - cut.monotonicMs;
    assert.ok(Math.abs(Number(toldMs) * 1000 - wasMs) < DURATION_OFF_MS, `told ${toldMs} s, was ${wasMs} ms`);

    assert.ok(
      [...watch.seen].some((name) => name.includes('post')),
      'the watch saw the tools',
    );
    assert.deepEqual([...watch.found], [], 'no secret in the words or environment of any process');
    assert.deepEqual(filesWithSecret(gateway.stateDir), [], 'no secret in the state folder');
    const said = [gateway.log(), log, JSON.stringify(await gateway.status()), JSON.stringify(await gateway.events())];
    for (const text of said) assert.ok(!text.includes(SECRET_WORD));
    assert.deepEqual(
      filesWithSecret(gateway.dir).filter((path) => !path.startsWith(join(gateway.dir, 'secrets'))),
      [],
    );
    const late = Math.max(...sent.map(({ tookMs }) => tookMs));
    process.stdout.write(
      `# drained ${drained.map(Math.round).join(' and ')} ms after the switches, what was held arrived ${settled.map(Math.round).join(' and ')} ms after them; ${fast.taken.length} by fast, ${backup.taken.length} by backup, ${deferred} deferred, ${twice} twice (${inDoubt} answers lost); slowest hand-in ${Math.round(late)} ms; outage told ${toldMs} s, was ${Math.round(wasMs)} ms\n`,
    );
  },
);
