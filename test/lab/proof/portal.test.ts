/** A provider that wants to see a login page first answers everything, with the wrong answer. Needs root. */
import assert from 'node:assert/strict';
import { SERVER4 } from '../../../src/lab/topologies.js';
import { quick } from './config-file.js';
import { flowing, type Gateway, proof } from './gateway.js';

/** Answers every request with this status, and a redirect to elsewhere where it is one; prints a line when it listens. */
const SERVER = `
const [port, status] = process.argv.slice(1).map(Number);
require('node:http')
  .createServer((request, response) => {
    response.writeHead(status, status === 302 ? { location: 'http://portal.example/login' } : {});
    response.end();
  })
  .listen(port, () => console.log('listens'));
`;

async function serve(gateway: Gateway, node: string, port: number, status: number): Promise<void> {
  const child = gateway.lab.spawn(node, [process.execPath, '-e', SERVER, String(port), String(status)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
}

/** What the provider's portal does: whoever asks a web server outside is answered by its own. */
function intercept(gateway: Gateway, verb: 'add' | 'delete'): Promise<unknown> {
  const table = [
    'table ip portal {',
    ' chain prerouting {',
    '  type nat hook prerouting priority -100',
    '  iifname "cust0" tcp dport 80 redirect to :8080',
    ' }',
    '}',
  ];
  const input = verb === 'add' ? `${table.join('\n')}\n` : 'delete table ip portal\n';
  return gateway.lab.exec(gateway.lab.uplink('fast').isp, ['nft', '-f', '-'], { input });
}

proof(
  'captive portal: an answer that is not the target is none',
  {
    topology: 'classic',
    config: quick('classic', { uplinks: { fast: { targets: [{ http: `http://${SERVER4}/` }] } } }),
    prepare: async (gateway) => {
      await serve(gateway, 'internet', 80, 204);
      await serve(gateway, gateway.lab.uplink('fast').isp, 8080, 302);
    },
  },
  async (gateway) => {
    await gateway.judged();
    await gateway.goesBy('fast');
    const meter = await gateway.lab.meter();
    await flowing(meter);
    await intercept(gateway, 'add');
    await gateway.goesBy('backup');
    const { health, reason, targets } = await gateway.path('fast');
    assert.deepEqual([health, reason], ['down', 'portal']);
    assert.match(targets[0]?.lastFailure ?? '', /portal\.example/);
    assert.equal((await gateway.switches()).at(-1), 'fast -> backup (portal)');
    await intercept(gateway, 'delete');
    await gateway.goesBy('fast');
    assert.equal((await meter.stop()).lost, 0, 'other traffic never stopped');
  },
);
