import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Retained, retained } from '../../../../src/action/telling/mqtt-topics.js';
import type { StatusView, UsageView } from '../../../../src/core/messages.js';
import type { MqttConfig } from '../../../../src/core/services.js';
import { busyView, calmView } from '../../../support/status-views.js';

const config: MqttConfig = {
  kind: 'mqtt',
  url: 'mqtt://broker',
  login: null,
  prefix: 'backroute',
  discovery: 'homeassistant',
};

function told(view: StatusView): (topic: string) => Retained {
  const messages = retained(config, view, { host: 'gw', version: '1' });
  return (topic) => {
    const found = messages.find((message) => message.topic.endsWith(topic));
    assert.ok(found, topic);
    return found;
  };
}

test('who shares stands beside the active uplink, and nowhere without sharing', () => {
  const details = (view: StatusView): Record<string, unknown> => JSON.parse(told(view)('active/4/details').payload);
  assert.deepEqual(details(busyView()).sharing, [
    { uplink: 'fibre', weight: 3 },
    { uplink: 'cable', weight: 1 },
  ]);
  assert.ok(!('sharing' in details(calmView())));
});

test('what a metered uplink has used is told with its state, and as a sensor of its own', () => {
  const find = told(busyView());
  const state = JSON.parse(find('uplink/lte/state').payload) as { usage: unknown };
  assert.deepEqual(state.usage, {
    bytes: 12.34e9,
    'cap-bytes': 20e9,
    'forecast-bytes': 24.1e9,
    'probe-bytes': 31e6,
    closed: false,
  });
  const sensor = JSON.parse(find('lte_used/config').payload) as Record<string, unknown>;
  assert.deepEqual(
    [sensor.device_class, sensor.unit_of_measurement, sensor.state_topic],
    ['data_size', 'B', 'backroute/uplink/lte/state'],
  );
  assert.ok(!('usage' in JSON.parse(find('uplink/fibre/state').payload)));
});

test('bytes may wait, a cap that is reached may not', () => {
  const urgent = (change: Partial<UsageView>): string => {
    const view = busyView();
    const uplinks = view.uplinks.map((uplink) =>
      uplink.usage === null ? uplink : { ...uplink, usage: { ...uplink.usage, ...change } },
    );
    return told({ ...view, uplinks })('uplink/lte/state').urgent;
  };
  assert.equal(urgent({ bytes: 13e9, forecastBytes: 25e9 }), urgent({}));
  assert.notEqual(urgent({ closed: true }), urgent({}));
});
