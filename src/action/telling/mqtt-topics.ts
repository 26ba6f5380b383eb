/**
 * What stands retained at an MQTT broker for a status view: state per uplink, the active choice, Home Assistant's discovery
 * (home-assistant.io/integrations/mqtt, MQTT discovery). Pure; knows no connection.
 */
import type { PathView, StatusView, UplinkView, UsageView } from '../../core/messages.js';
import type { MqttConfig } from '../../core/services.js';

export const ONLINE = 'online';
export const OFFLINE = 'offline';

/** Who speaks. */
export interface MqttSelf {
  readonly host: string;
  /** of this program */
  readonly version: string;
}

export interface Retained {
  readonly topic: string;
  readonly payload: string;
  /** the part whose change cannot wait; figures may */
  readonly urgent: string;
}

export function availabilityTopic(config: MqttConfig): string {
  return `${config.prefix}/availability`;
}

export function eventTopic(config: MqttConfig): string {
  return `${config.prefix}/event`;
}

/** A name as one level of a topic: the separators and wildcards of MQTT 3.1.1 (4.7.1) stay out. */
export function level(name: string): string {
  return name.replace(/[+#/\p{Cc}]+/gu, '-') || '-';
}

export function retained(config: MqttConfig, view: StatusView, self: MqttSelf): Retained[] {
  const messages: Retained[] = [];
  for (const uplink of view.uplinks) messages.push(uplinkState(config, uplink));
  for (const { family, active, reason, sinceWallMs, sharing } of view.families) {
    const name = active ?? 'none';
    messages.push({ topic: `${config.prefix}/active/${family}`, payload: name, urgent: name });
    const shared = sharing.length < 2 ? {} : { sharing: sharing.map(({ uplink, weight }) => ({ uplink, weight })) };
    const details = JSON.stringify({ uplink: active, reason, since: isoTime(sinceWallMs), ...shared });
    messages.push({ topic: `${config.prefix}/active/${family}/details`, payload: details, urgent: details });
  }
  return config.discovery === null ? messages : [...discovery(config, config.discovery, view, self), ...messages];
}

function uplinkState(config: MqttConfig, uplink: UplinkView): Retained {
  const paths = uplink.paths.map((path) => [path.family, pathState(path)] as const);
  const state = {
    uplink: uplink.name,
    admin: uplink.admin,
    up: uplink.paths.some(({ health }) => health === 'up' || health === 'degraded'),
    active: uplink.paths.filter(({ active }) => active).map(({ family }) => family),
    ...Object.fromEntries(paths),
  };
  const calm = Object.fromEntries(paths.map(([family, path]) => [family, { ...path, loss: 0, 'rtt-ms': 0, 'jitter-ms': 0 }]));
  const { usage } = uplink;
  return {
    topic: stateTopic(config, uplink.name),
    payload: JSON.stringify(usage === null ? state : { ...state, usage: usageState(usage) }),
    urgent: JSON.stringify({ ...state, ...calm, closed: usage?.closed ?? false }),
  };
}

/** Bytes, of the month that runs. */
function usageState(usage: UsageView): Readonly<Record<string, number | boolean | null>> {
  const { bytes, capBytes, forecastBytes, probeBytes, closed } = usage;
  return { bytes, 'cap-bytes': capBytes, 'forecast-bytes': forecastBytes, 'probe-bytes': probeBytes, closed };
}

function pathState(path: PathView): Readonly<Record<string, string | number | boolean | null>> {
  return {
    health: path.health,
    reason: path.reason,
    since: isoTime(path.sinceWallMs),
    active: path.active,
    loss: rounded(path.loss, 3),
    'rtt-ms': rounded(path.rttMs, 1),
    'jitter-ms': rounded(path.jitterMs, 1),
  };
}

function stateTopic(config: MqttConfig, uplink: string): string {
  return `${config.prefix}/uplink/${level(uplink)}/state`;
}

function discovery(config: MqttConfig, root: string, view: StatusView, self: MqttSelf): Retained[] {
  // Two gateways at one broker differ in host or prefix.
  const node = identifier(`backroute_${self.host}_${config.prefix}`);
  const common = {
    availability_topic: availabilityTopic(config),
    device: { identifiers: [node], name: `Backroute ${self.host}`, manufacturer: 'Backroute', sw_version: self.version },
    origin: { name: 'Backroute', sw_version: self.version },
  };
  const entity = (component: string, object: string, body: Readonly<Record<string, unknown>>): Retained => {
    const payload = JSON.stringify({ ...body, unique_id: `${node}_${object}`, ...common });
    return { topic: `${root}/${component}/${node}/${object}/config`, payload, urgent: payload };
  };
  const entities = view.families.map(({ family }) =>
    entity('sensor', `active_${family}`, {
      name: `Active uplink IPv${family}`,
      state_topic: `${config.prefix}/active/${family}`,
      json_attributes_topic: `${config.prefix}/active/${family}/details`,
      icon: 'mdi:router-network',
    }),
  );
  for (const uplink of view.uplinks) {
    const object = identifier(uplink.name);
    const topic = stateTopic(config, uplink.name);
    entities.push(
      entity('binary_sensor', object, {
        name: uplink.name,
        device_class: 'connectivity',
        state_topic: topic,
        value_template: "{{ 'ON' if value_json.up else 'OFF' }}",
        json_attributes_topic: topic,
      }),
    );
    if (uplink.usage !== null) {
      entities.push(
        entity('sensor', `${object}_used`, {
          name: `${uplink.name} used this month`,
          device_class: 'data_size',
          state_class: 'total_increasing',
          unit_of_measurement: 'B',
          state_topic: topic,
          value_template: '{{ value_json.usage.bytes }}',
        }),
      );
    }
    for (const { family } of uplink.paths) {
      const figure = (key: string): string => `value_json['${family}']['${key}']`;
      const shared = { state_topic: topic, state_class: 'measurement', entity_category: 'diagnostic' };
      entities.push(
        entity('sensor', `${object}_${family}_loss`, {
          ...shared,
          name: `${uplink.name} IPv${family} loss`,
          unit_of_measurement: '%',
          value_template: `{{ (${figure('loss')} * 100) | round(1) if ${figure('loss')} is not none else none }}`,
        }),
        entity('sensor', `${object}_${family}_rtt`, {
          ...shared,
          name: `${uplink.name} IPv${family} round trip`,
          device_class: 'duration',
          unit_of_measurement: 'ms',
          value_template: `{{ ${figure('rtt-ms')} }}`,
        }),
      );
    }
  }
  return entities;
}

/** The characters that Home Assistant allows in node and object ids; different names stay different. */
function identifier(name: string): string {
  return name.replace(/[^A-Za-z0-9]/g, (character) =>
    /[_-]/.test(character) ? character : `_${(character.codePointAt(0) ?? 0).toString(16)}_`,
  );
}

function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}

function isoTime(wallMs: number): string | null {
  const date = new Date(wallMs);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
