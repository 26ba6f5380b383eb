/**
 * All ways of telling people behind one door: which transport carries a channel's message, the connections that live longer than one
 * message, and a message sent as a test. One attempt each; the outbox decides when.
 */
import type { Notice } from '../../core/action.js';
import type { StatusView } from '../../core/messages.js';
import type { ChannelConfig } from '../../core/services.js';
import type { OutboxClock } from '../outbox-lane.js';
import type { Attempt, Deliver, Verdict } from '../verdict.js';
import { sendMail } from './mail.js';
import { composeMail } from './mail-message.js';
import { type MqttParts, MqttTeller } from './mqtt.js';
import { webhookProblems } from './recipes.js';
import { SMTP_LIMITS } from './smtp.js';
import { sendWebhook, WEBHOOK_LIMITS } from './webhook.js';

export interface TellingOptions {
  /** the name of this machine, as people know it */
  readonly host: string;
  /** of this program */
  readonly version: string;
  readonly clock: OutboxClock;
  /** in [0, 1) */
  readonly random: () => number;
  /** certificate authorities instead of those of Node; PEM */
  readonly ca?: readonly string[];
}

export interface TestResult {
  readonly ok: boolean;
  /** the server's answer, or what went wrong, in words; no secrets */
  readonly text: string;
}

export class Telling {
  readonly #options: TellingOptions;
  readonly #brokers = new Map<string, { readonly config: string; readonly teller: MqttTeller }>();
  #view: StatusView | null = null;

  constructor(options: TellingOptions) {
    this.#options = options;
  }

  /** For the outbox. */
  readonly deliver: Deliver = async (channel, notice, attempt) => {
    if (channel.transport.kind !== 'mqtt') return await this.#once(channel, notice, attempt);
    const broker = this.#brokers.get(channel.name);
    if (broker === undefined) return { kind: 'retry', text: 'not connected yet' };
    return await broker.teller.send(notice, attempt);
  };

  /** Connections that are no longer configured end; those that are unchanged go on. */
  configure(channels: readonly ChannelConfig[]): void {
    const wanted = new Map(channels.map((channel) => [channel.name, channel.transport]));
    for (const [name, { config, teller }] of this.#brokers) {
      if (JSON.stringify(wanted.get(name)) === config) continue;
      this.#brokers.delete(name);
      void teller.close();
    }
    for (const [name, transport] of wanted) {
      if (transport.kind !== 'mqtt' || this.#brokers.has(name)) continue;
      const teller = new MqttTeller(transport, this.#mqttParts());
      this.#brokers.set(name, { config: JSON.stringify(transport), teller });
      if (this.#view !== null) teller.update(this.#view);
      teller.start();
    }
  }

  /** What is retained at the brokers follows the view. Returns at once. */
  update(view: StatusView): void {
    this.#view = view;
    for (const { teller } of this.#brokers.values()) teller.update(view);
  }

  /** The way out has changed. */
  kick(): void {
    for (const { teller } of this.#brokers.values()) teller.kick();
  }

  /** For `status`. */
  problems(): string[] {
    return [...this.#brokers].flatMap(([name, { teller }]) => {
      const problem = teller.problem();
      return problem === null ? [] : [`${name}: ${problem}`];
    });
  }

  /** Sends for real, at once, past the outbox. Never rejects. */
  async sendTest(channel: ChannelConfig): Promise<TestResult> {
    const quiet = new AbortController();
    const attempt: Attempt = { served: [], hurry: quiet.signal, stop: quiet.signal };
    let verdict: Verdict;
    try {
      const notice = testNotice(channel.name, this.#options);
      verdict =
        channel.transport.kind === 'mqtt'
          ? await this.#testMqtt(channel, notice, attempt)
          : await this.#once(channel, notice, attempt);
    } catch (error) {
      verdict = { kind: 'retry', text: error instanceof Error ? error.message : String(error) };
    }
    return { ok: verdict.kind === 'delivered', text: verdict.text };
  }

  async close(): Promise<void> {
    const tellers = [...this.#brokers.values()].map(({ teller }) => teller);
    this.#brokers.clear();
    await Promise.all(tellers.map((teller) => teller.close()));
  }

  async #once(channel: ChannelConfig, notice: Notice, attempt: Attempt): Promise<Verdict> {
    const { host, ca } = this.#options;
    const trusted = ca === undefined ? {} : { ca };
    const { transport } = channel;
    if (transport.kind === 'mail') return await sendMail(transport, notice, attempt, { host, limits: SMTP_LIMITS, ...trusted });
    if (transport.kind === 'webhook')
      return await sendWebhook(transport, notice, attempt, { host, limits: WEBHOOK_LIMITS, ...trusted });
    return { kind: 'refused', text: 'no such transport' };
  }

  async #testMqtt(channel: ChannelConfig, notice: Notice, attempt: Attempt): Promise<Verdict> {
    if (channel.transport.kind !== 'mqtt') return { kind: 'refused', text: 'no such transport' };
    const teller = new MqttTeller(channel.transport, { ...this.#mqttParts(), passing: true });
    try {
      return await teller.send(notice, attempt);
    } finally {
      await teller.close();
    }
  }

  #mqttParts(): MqttParts {
    const { host, version, clock, random, ca } = this.#options;
    return { self: { host, version }, clock, random, ...(ca === undefined ? {} : { ca }) };
  }
}

/** What only the transports know to be wrong with a channel, for `check`: nothing is sent, no secret is read. */
export async function channelProblems(channel: ChannelConfig): Promise<string[]> {
  const { transport } = channel;
  if (transport.kind === 'webhook') return webhookProblems(transport);
  if (transport.kind !== 'mail') return [];
  const clock = { now: () => 0, wallMs: () => 0, setTimer: () => () => undefined };
  const notice = testNotice(channel.name, { host: 'host', version: '', clock, random: () => 0 });
  try {
    await composeMail(transport, notice, 'host', []);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

function testNotice(channel: string, { host, clock, random }: TellingOptions): Notice {
  const wallMs = clock.wallMs();
  const id = `test-${wallMs.toString(36)}-${Math.floor(random() * 2 ** 32).toString(36)}`;
  return {
    id,
    thread: id,
    wallMs,
    topic: 'switch',
    severity: 'info',
    uplink: null,
    family: null,
    from: null,
    to: null,
    reason: null,
    sinceWallMs: wallMs,
    outageMs: null,
    subject: `a test of ${channel}`,
    text: [`This is a test message from Backroute on ${host}, sent through the channel ${channel}. Nothing has happened.`],
    active: [],
    figures: [],
    folded: 1,
  };
}
