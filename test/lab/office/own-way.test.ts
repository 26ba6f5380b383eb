/** Each smarthost is reached through its own uplink or not at all, whatever is active. Needs root and Postfix. */
import assert from 'node:assert/strict';
import { eventually } from '../proof/gateway.js';
import { type Office, office, PORT } from './office.js';

/** How long a way that leads nowhere is given before it counts as silent. */
const SILENT_MS = 700;

/**
 * Opens a connection from a node and hears the greeting. @returns `220`, `silent`, or the error's code, and after how long. One that
 * is ended as stuck in a dead uplink (ECONNABORTED) has been silent until then.
 */
async function knock(o: Office, node: string, uplink: string): Promise<{ answer: string; tookMs: number }> {
  const script = `
    const started = performance.now();
    const say = (answer) => { console.log(JSON.stringify({ answer, tookMs: performance.now() - started })); process.exit(0); };
    const socket = require('node:net').connect(${PORT}, '${o.gateway.lab.uplink(uplink).smarthost4}');
    socket.on('data', (data) => say(String(data).slice(0, 3))).on('error', (error) => say(error.code === 'ECONNABORTED' ? 'silent' : error.code));
    setTimeout(() => say('silent'), ${SILENT_MS});`;
  const { stdout } = await o.gateway.lab.exec(node, [process.execPath, '-e', script]);
  return JSON.parse(stdout) as { answer: string; tookMs: number };
}

office('a smarthost is reached through its own uplink or not at all, whatever is active', { timeout: 120_000 }, async (o) => {
  const { gateway } = o;
  const { lab } = gateway;
  const answers = async (node = 'gateway') => [(await knock(o, node, 'fast')).answer, (await knock(o, node, 'backup')).answer];
  await gateway.start();
  await gateway.judged();
  for (const forced of ['backup', 'fast']) {
    await gateway.order('force', forced);
    await gateway.goesBy(forced);
    assert.deepEqual(await answers(), ['220', '220'], `${forced} is forced`);
  }
  await gateway.order('auto');
  await lab.cut('fast', 'silent');
  await gateway.goesBy('backup');
  assert.deepEqual(await answers(), ['silent', '220'], 'the server of fast stands there, and is not gone to through backup');
  // Clients of the LAN are not our own traffic: they go where the default route goes.
  assert.deepEqual(await answers('client'), ['220', '220']);

  // A link that goes takes the table's route along; nobody is there to put it back.
  await gateway.end('SIGKILL');
  await gateway.ip('route del default via 192.168.1.253 dev lan0 table 7100');
  const refused = await knock(o, 'gateway', 'fast');
  assert.equal(refused.answer, 'EHOSTUNREACH');
  assert.ok(refused.tookMs < 100, `told after ${refused.tookMs} ms`);
  assert.equal((await knock(o, 'gateway', 'backup')).answer, '220');
  await lab.mend('fast');
  await gateway.start();
  await eventually('it is put back', async () => (await knock(o, 'gateway', 'fast')).answer === '220');
});
