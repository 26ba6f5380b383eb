/** MQTT against a real mosquitto, in a network namespace of this process. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MqttTeller } from '../../../../src/action/telling/mqtt.js';
import { level } from '../../../../src/action/telling/mqtt-topics.js';
import { Telling } from '../../../../src/action/telling/telling.js';
import type { StatusView } from '../../../../src/core/messages.js';
import type { ChannelConfig, MqttConfig, SecretRef } from '../../../../src/core/services.js';
import { realClock } from '../../../../src/daemon/clock.js';
import { enterOwnNetwork, needsRoot } from '../../../support/own-network.js';
import { calmView, pathView, uplinkView } from '../../../support/status-views.js';
import { mailChannel, notice, OutboxBench, until } from '../outbox-bench.js';
import { Listener, Mosquitto, needsMosquitto } from './mosquitto.js';
import { attempt } from './smtp-bench.js';

const skip = needsRoot || needsMosquitto;
if (skip === false) enterOwnNetwork();

const self = { host: 'gw', version: '1.2.3' };
let lastPort = 18_830;

function broker(t: TestContext): Mosquitto {
  lastPort += 1;
  return new Mosquitto(t, lastPort);
}

function mqttConfig(url: string, change: Partial<MqttConfig> = {}): MqttConfig {
  return { kind: 'mqtt', url, login: null, prefix: 'backroute', discovery: 'homeassistant', ...change };
}

function teller(t: TestContext, config: MqttConfig): MqttTeller {
  const one = new MqttTeller(config, { self, clock: realClock, random: () => 0.5, answerMs: 500 });
  t.after(() => one.close());
  return one;
}

function failedView(): StatusView {
  const calm = calmView();
  return {
    ...calm,
    families: [{ family: 4, active: 'backup', sharing: [], reason: 'upstream-silent', sinceWallMs: calm.wallMs, next: null }],
    uplinks: [
      uplinkView('fast', [pathView({ health: 'down', reason: 'upstream-silent', loss: 1, rttMs: null })]),
      uplinkView('backup', [pathView({ active: true })]),
    ],
  };
}

test('state, active choice, availability and discovery stand retained', { skip }, async (t) => {
  const mosquitto = broker(t);
  await mosquitto.start();
  const one = teller(t, mqttConfig(mosquitto.url));
  one.update(calmView());
  one.start();
  const early = await Listener.open(t, mosquitto.url);
  await until(
    () => early.last('backroute/active/4') !== undefined && early.last('backroute/uplink/backup/state') !== undefined,
    'state',
  );
  // Who comes later finds it all.
  const listener = await Listener.open(t, mosquitto.url);
  await until(
    () => listener.heard.length >= early.heard.length && listener.last('backroute/active/4') === 'fast',
    'all retained',
  );
  assert.ok(listener.heard.every(({ retained }) => retained));
  assert.equal(listener.last('backroute/availability'), 'online');
  const fast = listener.json('backroute/uplink/fast/state');
  assert.deepEqual([fast.up, fast.active, fast.admin], [true, [4], 'auto']);
  assert.deepEqual((fast['4'] as Record<string, unknown>)['rtt-ms'], 20.1);
  const configs = listener.heard.filter(({ topic }) => topic.startsWith('homeassistant/'));
  assert.equal(configs.length, 7, 'one for the choice; connectivity, loss and round trip for each uplink');
  const ids = new Set<unknown>();
  for (const { topic, payload } of configs) {
    // home-assistant.io/integrations/mqtt: <prefix>/<component>/[<node_id>/]<object_id>/config
    assert.match(topic, /^homeassistant\/(sensor|binary_sensor)\/[A-Za-z0-9_-]+\/[A-Za-z0-9_-]+\/config$/);
    const entity = JSON.parse(payload) as Record<string, unknown>;
    ids.add(entity.unique_id);
    assert.ok(listener.last(String(entity.state_topic)) !== undefined, `${entity.state_topic} has a value`);
    assert.equal(entity.availability_topic, 'backroute/availability');
    const { identifiers } = entity.device as { identifiers: unknown };
    assert.ok(Array.isArray(identifiers) && identifiers.length === 1);
  }
  assert.equal(ids.size, configs.length);
});

test('only what changed is told; an uplink that is gone leaves nothing behind', { skip }, async (t) => {
  const mosquitto = broker(t);
  await mosquitto.start();
  const one = teller(t, mqttConfig(mosquitto.url));
  one.update(calmView());
  one.start();
  const listener = await Listener.open(t, mosquitto.url);
  const state = 'backroute/uplink/backup/state';
  await until(() => listener.last('backroute/active/4/details') !== undefined, 'the first state');
  const before = listener.heard.length;
  one.update({ ...calmView(), wallMs: 1 });
  // Figures alone wait a while, a change of health takes them along.
  one.update({
    ...calmView(),
    uplinks: [uplinkView('fast', [pathView({ active: true, rttMs: 33 })]), ...calmView().uplinks.slice(1)],
  });
  one.update(failedView());
  await until(() => listener.last('backroute/active/4') === 'backup', 'the switch');
  await until(() => listener.heard.length >= before + 4, 'all of it');
  assert.deepEqual(
    listener.heard
      .slice(before)
      .map(({ topic }) => topic)
      .sort(),
    ['backroute/active/4', 'backroute/active/4/details', state, 'backroute/uplink/fast/state'],
  );
  assert.equal(listener.json('backroute/uplink/fast/state').up, false);
  one.update({ ...failedView(), uplinks: failedView().uplinks.slice(0, 1) });
  await until(() => listener.last(state) === '', 'the removal');
  await until(() => listener.heard.filter(({ payload }) => payload === '').length === 4, 'its entities removed too');
  await one.close();
  const late = await Listener.open(t, mosquitto.url);
  await until(() => late.last('backroute/availability') === 'offline', 'goodbye');
  assert.ok(!late.heard.some(({ topic }) => topic.includes('backup')));
});

test('a broker that restarts without memory gets everything again, as it then is', { skip }, async (t) => {
  const mosquitto = broker(t);
  await mosquitto.start();
  const one = teller(t, mqttConfig(mosquitto.url));
  one.update(calmView());
  one.start();
  const first = await Listener.open(t, mosquitto.url);
  await until(() => first.last('backroute/active/4') === 'fast', 'the first state');
  await mosquitto.stop();
  await until(() => one.problem() !== null, 'the loss told');
  one.update(failedView());
  await mosquitto.start();
  one.kick();
  const second = await Listener.open(t, mosquitto.url);
  await until(() => second.last('backroute/active/4') === 'backup', 'the later state');
  await until(() => second.last('backroute/availability') === 'online', 'online');
  await until(
    () => second.heard.filter(({ topic }) => topic.startsWith('homeassistant/')).length === 7,
    'also what is as it was',
  );
  assert.equal(one.problem(), null);
});

test('it comes back by itself, and a kick finds out that a broker no longer answers', { skip }, async (t) => {
  const mosquitto = broker(t);
  const one = teller(t, mqttConfig(mosquitto.url, { discovery: null }));
  one.start();
  await until(() => /ECONNREFUSED/.test(one.problem() ?? ''), 'the refusal told');
  await mosquitto.start();
  await until(() => one.problem() === null, 'connected by the timer');
  mosquitto.freeze();
  one.kick();
  await until(() => /no acknowledgement after 0.5 s/.test(one.problem() ?? ''), 'silence noticed');
});

test('a wrong password is told apart, never shown, and cured by a kick', { skip }, async (t) => {
  const mosquitto = broker(t);
  await mosquitto.start({ user: 'gw', password: 'right-4711' });
  const path = join(mosquitto.folder, 'secret');
  writeFileSync(path, 'wrong-4711\n');
  const password: SecretRef = { kind: 'file', path };
  const one = teller(t, mqttConfig(mosquitto.url, { login: { user: 'gw', password } }));
  const verdict = await one.send(notice('a'), attempt());
  assert.equal(verdict.kind, 'credentials', verdict.text);
  assert.match(verdict.text, /Not authorized|Bad username or password/i);
  assert.ok(!verdict.text.includes('4711'));
  rmSync(path);
  one.kick();
  await until(() => /cannot be read/.test(one.problem() ?? ''), 'the missing secret told');
  writeFileSync(path, 'right-4711\n');
  const good = await one.send(notice('a'), attempt());
  assert.equal(good.kind, 'delivered', good.text);
});

test('notices are events through the outbox, in order, also over a restart of the broker', { skip }, async (t) => {
  const mosquitto = broker(t);
  await mosquitto.start();
  const channel: ChannelConfig = { ...mailChannel('house'), transport: mqttConfig(mosquitto.url) };
  const telling = new Telling({ ...self, clock: realClock, random: Math.random });
  t.after(() => telling.close());
  telling.configure([channel]);
  const bench = new OutboxBench(t);
  bench.channels = [channel];
  const outbox = bench.start({ deliver: telling.deliver, clock: realClock });
  const first = await Listener.open(t, mosquitto.url);
  outbox.put('house', notice('a'));
  await until(() => bench.told('delivered').length === 1, 'the first one');
  await until(() => first.last('backroute/event') !== undefined, 'the event heard');
  assert.equal(first.json('backroute/event').id, 'a');
  await mosquitto.stop('SIGKILL');
  outbox.put('house', notice('b'));
  outbox.put('house', notice('c'));
  await until(() => outbox.problems().length === 1, 'the failure');
  await mosquitto.start();
  const second = await Listener.open(t, mosquitto.url);
  outbox.kick();
  await until(() => bench.told('delivered').length === 3, 'the others');
  const events = (): unknown[] =>
    second.heard
      .filter(({ topic }) => topic === 'backroute/event')
      .map(({ payload }) => (JSON.parse(payload) as { id: string }).id);
  await until(() => events().length === 2, 'both heard');
  assert.deepEqual(events(), ['b', 'c']);
  assert.ok(!second.heard.some(({ topic, retained }) => topic === 'backroute/event' && retained));
  const result = await telling.sendTest(channel);
  assert.deepEqual(result, { ok: true, text: `127.0.0.1:${mosquitto.port}: acknowledged` });
  await until(() => String(second.json('backroute/event').subject).includes('a test of house'), 'the test heard');
  assert.equal(second.last('backroute/availability'), 'online', 'a test does not touch what is retained');
});

test('names that mean something to MQTT stay one level', () => {
  assert.equal(level('a/b+c#'), 'a-b-c-');
  assert.equal(level(''), '-');
});
