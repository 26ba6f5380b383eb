/**
 * A real mosquitto hears a failover; an alert that nobody could deliver, since every uplink was down, arrives when one is back,
 * with the daemon killed in between. Needs root, Postfix and mosquitto.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLIENT4 } from '../../../src/lab/topologies.js';
import { needsMosquitto } from '../../unit/action/telling/mosquitto.js';
import { eventually, type Gateway } from '../proof/gateway.js';
import type { Heard } from './mqtt-listener.js';
import { filesWithSecret, header, office, passwordOf, program, SECRET_WORD, SecretWatch, secretFile } from './office.js';

const BROKER = `mqtt://${CLIENT4}:1883`;

async function startBroker(gateway: Gateway): Promise<void> {
  const passwords = join(gateway.dir, 'secrets', 'mosquitto');
  writeFileSync(passwords, `backroute:${passwordOf('broker')}\n`, { mode: 0o600 });
  execFileSync('mosquitto_passwd', ['-U', passwords], { stdio: 'ignore' });
  const config = join(gateway.dir, 'mosquitto.conf');
  const lines = [`listener 1883 ${CLIENT4}`, 'persistence false', 'user root', 'log_dest none', 'allow_anonymous false'];
  writeFileSync(config, `${[...lines, `password_file ${passwords}`].join('\n')}\n`);
  gateway.lab.spawn('client', ['/usr/sbin/mosquitto', '-c', config], { stdio: 'ignore' });
  await eventually('mosquitto listens', async () => {
    const { stdout } = await gateway.lab.exec('client', ['ss', '-Hltn', 'sport = :1883']);
    return stdout.includes(CLIENT4);
  });
}

class Listener {
  readonly heard: Heard[] = [];

  constructor(gateway: Gateway) {
    const options = { url: BROKER, user: 'backroute', passwordFile: secretFile(gateway, 'broker') };
    program<Heard>(gateway.lab, 'client', 'mqtt-listener', options, (heard) => this.heard.push(heard));
  }

  last(topic: string): string | null {
    return this.heard.findLast((one) => one.topic === topic)?.payload ?? null;
  }

  isUp(uplink: string): boolean | null {
    const state = this.last(`backroute/uplink/${uplink}/state`);
    return state === null ? null : (JSON.parse(state) as { up: boolean }).up;
  }
}

office(
  'MQTT follows a failover; what could not be told is told when a link is back',
  { timeout: 120_000, skip: needsMosquitto },
  async (o) => {
    const { gateway, mailbox } = o;
    const { lab } = gateway;
    await startBroker(gateway);
    const mqtt = { url: BROKER, user: 'backroute', 'password-file': secretFile(gateway, 'broker') };
    gateway.configure({ ...o.config, notify: { ...(o.config.notify as object), house: { mqtt } } });
    const watch = new SecretWatch();
    await gateway.start();
    await gateway.judged();
    const first = new Listener(gateway);
    const says = (listener: Listener, active: string, fast: boolean, backup: boolean): Promise<true> =>
      eventually(`the broker has ${active}, fast ${fast}, backup ${backup}`, () => {
        const seen = [listener.last('backroute/active/4'), listener.isUp('fast'), listener.isUp('backup')];
        return JSON.stringify(seen) === JSON.stringify([active, fast, backup]);
      });
    const outbox = (): string[] => {
      const folder = join(gateway.stateDir, 'outbox');
      return readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name);
    };
    const subjects = (): string[] => mailbox.taken.map(({ raw }) => (header(raw, 'Subject') ?? '').replace(/^\[[^\]]*\] /, ''));

    await says(first, 'fast', true, true);
    assert.equal(first.last('backroute/availability'), 'online');
    await lab.cut('fast', 'silent');
    await says(first, 'backup', false, true);
    await eventually('the failover is told', () => subjects().length === 2 && outbox().length === 0);

    await lab.cut('backup', 'silent');
    await says(first, 'backup', false, false);
    await eventually('an alert waits in the outbox', () => outbox().length > 0);
    await gateway.end('SIGKILL');
    await eventually('the broker tells that we are gone', () => first.last('backroute/availability') === 'offline');
    assert.ok(outbox().length > 0, 'it is on the disk');
    assert.equal(subjects().length, 2, 'nobody has it');
    await gateway.start();
    await gateway.judged();
    await eventually('we are back', () => first.last('backroute/availability') === 'online');
    assert.ok(outbox().length > 0 && subjects().length === 2, 'it waits on');

    await lab.mend('backup');
    await eventually('the alert arrives', () => subjects().some((one) => one.startsWith('backup is down')));
    await eventually('and the recovery', () => subjects().some((one) => /^backup is up again after [\d.]+ s$/.test(one)));
    await eventually('nothing waits any more', () => outbox().length === 0);
    await says(first, 'backup', false, true);
    const order = subjects().filter((one) => one.startsWith('backup is'));
    assert.deepEqual(
      order.map((one) => one.split(' ')[2]?.replace(':', '')),
      ['down', 'up'],
      'in order',
    );
    const ids = mailbox.taken.map(({ raw }) => header(raw, 'Message-ID'));
    assert.equal(new Set(ids).size, ids.length, 'no message came twice');
    const [down, up] = mailbox.taken.filter(({ raw }) => header(raw, 'Subject')?.includes('] backup is '));
    assert.equal(
      header(up?.raw ?? '', 'In-Reply-To'),
      header(down?.raw ?? '', 'Message-ID'),
      'one conversation, over the restart',
    );

    await lab.mend('fast');
    await gateway.goesBy('fast');
    await says(first, 'fast', true, true);
    const late = new Listener(gateway);
    await says(late, 'fast', true, true);
    const states = late.heard.filter(({ topic }) => /^backroute\/(uplink|active|availability)/.test(topic));
    assert.ok(
      states.every(({ retained }) => retained),
      'who comes later finds the state',
    );
    assert.ok(
      late.heard.some(({ topic }) => topic.startsWith('homeassistant/')),
      'and Home Assistant its devices',
    );

    await gateway.end('SIGTERM');
    await eventually('the broker is told of an orderly end', () => first.last('backroute/availability') === 'offline');
    await watch.end();
    assert.deepEqual([...watch.found], []);
    assert.deepEqual(filesWithSecret(gateway.stateDir), []);
    for (const text of [gateway.log(), JSON.stringify([...first.heard, ...late.heard])]) assert.ok(!text.includes(SECRET_WORD));
  },
);
