/**
 * One MQTT channel: keeps a connection to the broker, with backoff, holds retained there what the last view says, and sends
 * notices as QoS 1 events. Nothing is queued here: the view is the truth, and events come from the outbox. MQTT 3.1.1.
 */
import type { MqttClient } from 'mqtt';
import type { Notice } from '../../core/action.js';
import type { StatusView } from '../../core/messages.js';
import type { MqttConfig } from '../../core/services.js';
import { backoffMs, CREDENTIALS_WAIT_MS, jittered } from '../backoff.js';
import type { OutboxClock } from '../outbox-lane.js';
import type { Attempt, Verdict } from '../verdict.js';
import { availabilityTopic, eventTopic, level, type MqttSelf, OFFLINE, ONLINE, type Retained, retained } from './mqtt-topics.js';
import { RECIPES } from './recipes.js';
import { answerText, readSecret, redact, SecretError } from './secret.js';
import { renderBody } from './template.js';

const CONNECT_MS = 15_000;
const ANSWER_MS = 10_000;
/** Figures alone are told at most so often. */
const FIGURES_MS = 15_000;
const KEEPALIVE_S = 30;
/** CONNACK: bad user name or password, not authorized (MQTT 3.1.1, 3.2.2.3). */
const REFUSED_LOGIN: readonly unknown[] = [4, 5];

export interface MqttParts {
  readonly self: MqttSelf;
  readonly clock: OutboxClock;
  readonly random: () => number;
  /** certificate authorities instead of those of Node; PEM */
  readonly ca?: readonly string[];
  /** only for one test message: no retained state, no last will */
  readonly passing?: boolean;
  /** an acknowledgement that takes longer will not come, and the connection is given up; 10 s where left out */
  readonly answerMs?: number;
}

interface Failure {
  readonly kind: 'retry' | 'credentials';
  readonly text: string;
}

export class MqttTeller {
  readonly #config: MqttConfig;
  readonly #parts: MqttParts;
  #client: MqttClient | null = null;
  #connected = false;
  #connecting = false;
  #failures = 0;
  #failure: Failure | null = null;
  #closed = false;
  #cancelTimer: (() => void) | null = null;
  #waiting: (() => void)[] = [];
  #wanted = new Map<string, Retained>();
  /** what the broker has acknowledged on this connection */
  readonly #standing = new Map<string, { readonly message: Retained; readonly atMs: number }>();
  /** retained by us earlier, to be removed */
  readonly #obsolete = new Set<string>();
  #flushing = false;
  #cancelFlush: (() => void) | null = null;

  constructor(config: MqttConfig, parts: MqttParts) {
    this.#config = config;
    this.#parts = parts;
  }

  start(): void {
    void this.#connect();
  }

  /** For `status`; null = connected, or not yet tried. No secrets. */
  problem(): string | null {
    return this.#failure?.text ?? null;
  }

  /** Tells what changed. Returns at once; what the broker misses meanwhile it gets on the next connection. */
  update(view: StatusView): void {
    const wanted = new Map(retained(this.#config, view, this.#parts.self).map((message) => [message.topic, message]));
    for (const topic of this.#wanted.keys()) if (!wanted.has(topic)) this.#obsolete.add(topic);
    for (const topic of wanted.keys()) this.#obsolete.delete(topic);
    this.#wanted = wanted;
    void this.#flush();
  }

  /** The way out has changed: connect at once, or find out whether the old connection still lives. */
  kick(): void {
    this.#failures = 0;
    if (this.#connected && this.#client !== null) void this.#tell(this.#client, availabilityTopic(this.#config), ONLINE);
    else if (!this.#connecting) void this.#connect();
  }

  /** One attempt to hand one notice to the broker. */
  async send(notice: Notice, attempt: Attempt): Promise<Verdict> {
    await this.#settled(attempt);
    const client = this.#client;
    const where = this.#where();
    if (!this.#connected || client === null) return { kind: 'retry', text: `${where}: not connected`, ...this.#failure };
    if (attempt.hurry.aborted || attempt.stop.aborted) return { kind: 'retry', text: `${where}: not begun` };
    const payload = renderBody(RECIPES.json.template, RECIPES.json.contentType, notice, this.#parts.self.host);
    const acknowledged = await this.#publish(client, eventTopic(this.#config), payload, false, attempt.stop);
    return acknowledged
      ? { kind: 'delivered', text: `${where}: acknowledged` }
      : { kind: 'retry', text: `${where}: the connection ended before the acknowledgement` };
  }

  /** Says goodbye: the last will would say the same a little later. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelFlush?.();
    const client = this.#client;
    if (client === null) return;
    if (this.#connected && this.#parts.passing !== true) {
      await this.#publish(client, availabilityTopic(this.#config), OFFLINE, true, null);
    }
    const ended = new Promise<void>((resolve) => client.end(false, () => resolve()));
    const late = new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.setTimer(1000, resolve);
      void ended.then(cancel);
    });
    await Promise.race([ended, late]);
    client.end(true);
    this.#lost(client, null);
  }

  async #connect(): Promise<void> {
    if (this.#closed || this.#client !== null || this.#connecting) return;
    this.#connecting = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const { login, url } = this.#config;
    let password: string | null = null;
    try {
      password = login === null ? null : await readSecret(login.password);
      const mqtt = await import('mqtt');
      if (this.#closed) return;
      const client = mqtt.connect(url, this.#options(login?.user ?? null, password));
      this.#client = client;
      this.#listen(client, password);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#failed({ kind: error instanceof SecretError ? 'credentials' : 'retry', text: this.#safe(text, password) });
    } finally {
      this.#connecting = false;
    }
  }

  #options(user: string | null, password: string | null): Parameters<typeof import('mqtt').connect>[1] {
    const { ca, passing, self, random } = this.#parts;
    const name = `backroute-${level(self.host)}-${level(this.#config.prefix)}`;
    return {
      clientId: passing === true ? `${name}-test-${Math.floor(random() * 1e9)}` : name,
      protocolVersion: 4,
      clean: true,
      keepalive: KEEPALIVE_S,
      connectTimeout: CONNECT_MS,
      // The waiting between attempts is ours, and a new attempt reads the secret anew.
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      ...(user === null ? {} : { username: user }),
      ...(password === null ? {} : { password }),
      ...(ca === undefined ? {} : { ca: [...ca] }),
      ...(passing === true
        ? {}
        : { will: { topic: availabilityTopic(this.#config), payload: Buffer.from(OFFLINE), qos: 1 as const, retain: true } }),
    };
  }

  #listen(client: MqttClient, password: string | null): void {
    let failure: Failure | null = null;
    client.on('connect', () => {
      this.#connected = true;
      this.#failures = 0;
      this.#failure = null;
      this.#standing.clear();
      if (this.#parts.passing !== true) void this.#tell(client, availabilityTopic(this.#config), ONLINE);
      this.#wake();
      void this.#flush();
    });
    client.on('error', (error) => {
      const refused = 'code' in error && REFUSED_LOGIN.includes(error.code);
      // Several addresses may have failed, each in its own way.
      const inner = error instanceof AggregateError ? error.errors.map(String).join('; ') : '';
      const text = this.#safe(error.message || inner || String(error), password);
      failure = { kind: refused ? 'credentials' : 'retry', text };
      client.end(true);
      this.#lost(client, failure);
    });
    client.on('close', () => {
      client.end(true);
      this.#lost(client, failure ?? { kind: 'retry', text: `${this.#where()}: the connection was closed` });
    });
  }

  /** @param failure null = on purpose */
  #lost(client: MqttClient, failure: Failure | null): void {
    if (this.#client !== client) return;
    this.#client = null;
    this.#connected = false;
    this.#standing.clear();
    if (failure !== null) this.#failed(failure);
    this.#wake();
  }

  #failed(failure: Failure): void {
    const { clock, random } = this.#parts;
    this.#failure = failure;
    this.#failures += 1;
    this.#wake();
    if (this.#closed) return;
    const waitMs = failure.kind === 'credentials' ? jittered(CREDENTIALS_WAIT_MS, random) : backoffMs(this.#failures, random);
    this.#cancelTimer?.();
    this.#cancelTimer = clock.setTimer(waitMs, () => void this.#connect());
  }

  /** Resolves when the attempt to connect that runs, or is begun now, has ended. */
  async #settled(attempt: Attempt): Promise<void> {
    if (this.#connected || this.#closed) return;
    const changed = new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      attempt.hurry.addEventListener('abort', () => resolve(), { once: true });
      attempt.stop.addEventListener('abort', () => resolve(), { once: true });
    });
    // Who has something to tell does not wait for the timer.
    void this.#connect();
    await changed;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #tell(client: MqttClient, topic: string, payload: string): Promise<void> {
    await this.#publish(client, topic, payload, true, null);
  }

  /** true = the broker has acknowledged it. Never rejects. A broker that does not answer loses the connection. */
  #publish(client: MqttClient, topic: string, payload: string, retain: boolean, stop: AbortSignal | null): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (acknowledged: boolean): void => {
        cancel();
        client.off('close', onClose);
        stop?.removeEventListener('abort', onClose);
        resolve(acknowledged);
      };
      const onClose = (): void => settle(false);
      const answerMs = this.#parts.answerMs ?? ANSWER_MS;
      const cancel = this.#parts.clock.setTimer(answerMs, () => {
        settle(false);
        client.end(true);
        this.#lost(client, { kind: 'retry', text: `${this.#where()}: no acknowledgement after ${answerMs / 1000} s` });
      });
      client.on('close', onClose);
      stop?.addEventListener('abort', onClose);
      client.publish(topic, payload, { qos: 1, retain }, (error) => settle(error === undefined || error === null));
    });
  }

  /** One message at a time: what changes meanwhile is told as it then is. */
  async #flush(): Promise<void> {
    if (this.#flushing || this.#closed || this.#parts.passing === true) return;
    this.#flushing = true;
    try {
      for (;;) {
        const client = this.#client;
        if (client === null || !this.#connected) return;
        const next = this.#next();
        if (next === null) return;
        if (!(await this.#publish(client, next.topic, next.payload, true, null))) return;
        // Acknowledged by a connection that is gone says nothing of the one that is now.
        if (this.#client !== client) continue;
        if (this.#obsolete.delete(next.topic)) this.#standing.delete(next.topic);
        else this.#standing.set(next.topic, { message: next, atMs: this.#parts.clock.now() });
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** What the broker does not have yet; an empty payload removes what is retained (MQTT 3.1.1, 3.3.1.3). */
  #next(): Retained | null {
    for (const topic of this.#obsolete) return { topic, payload: '', urgent: '' };
    const nowMs = this.#parts.clock.now();
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const message of this.#wanted.values()) {
      const standing = this.#standing.get(message.topic);
      if (standing === undefined || standing.message.urgent !== message.urgent) return message;
      if (standing.message.payload === message.payload) continue;
      const dueMs = standing.atMs + FIGURES_MS - nowMs;
      if (dueMs <= 0) return message;
      soonestMs = Math.min(soonestMs, dueMs);
    }
    this.#cancelFlush?.();
    this.#cancelFlush = Number.isFinite(soonestMs) ? this.#parts.clock.setTimer(soonestMs, () => void this.#flush()) : null;
    return null;
  }

  #where(): string {
    return URL.canParse(this.#config.url) ? new URL(this.#config.url).host : 'the broker';
  }

  #safe(text: string, password: string | null): string {
    const said = answerText(redact(text, password === null ? [] : [password], this.#config.login?.user));
    return `${this.#where()}: ${said}`;
  }
}
