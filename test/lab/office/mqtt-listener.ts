/** Hears everything at an MQTT broker and tells it as JSON lines, what is retained first. Ends with its standard input. */
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

export interface MqttListenerOptions {
  readonly url: string;
  readonly user: string;
  readonly passwordFile: string;
}

export interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly retained: boolean;
}

const { url, user, passwordFile } = JSON.parse(process.argv[2] ?? '') as MqttListenerOptions;
const password = readFileSync(passwordFile, 'utf8').trimEnd();
const client = await mqtt.connectAsync(url, { username: user, password, reconnectPeriod: 0 });
client.on('message', (topic, payload, { retain }) => {
  const heard: Heard = { topic, payload: payload.toString(), retained: retain };
  process.stdout.write(`${JSON.stringify(heard)}\n`);
});
await client.subscribeAsync('#', { qos: 1 });
process.stdin.resume().on('end', () => process.exit(0));
