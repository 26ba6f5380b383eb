import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FollowAsk, FollowOutcome } from '../../../../src/core/action.js';
import { Followers } from '../../../../src/core/aftermath/followers.js';
import type { FollowerView, HistoryRecord } from '../../../../src/core/messages.js';
import type { FilesConfig } from '../../../../src/core/services.js';

const files = (change: Partial<FilesConfig> = {}): FilesConfig => ({
  kind: 'files',
  name: 'exim',
  copies: { fast: [{ from: '/a', to: '/c' }], backup: [{ from: '/b', to: '/c' }] },
  check: null,
  reload: null,
  timeoutMs: 1_000,
  ...change,
});

class Stage {
  nowMs = 0;
  readonly asks: FollowAsk[] = [];
  readonly cancelled: number[] = [];
  readonly records: HistoryRecord[] = [];
  readonly #alarms: number[] = [];
  readonly followers = new Followers({
    follow: (ask) => {
      // One at a time, whatever happens.
      assert.ok(this.asks.every(({ run, follower }) => follower.name !== ask.follower.name || this.#ended.has(run)));
      this.asks.push(ask);
    },
    cancel: (run) => this.cancelled.push(run),
    record: (record) => this.records.push(record),
    wakeAt: (atMs) => this.#alarms.push(atMs),
  });
  readonly #ended = new Set<number>();

  constructor(...configs: readonly FilesConfig[]) {
    this.followers.configure(configs, 0);
  }

  get last(): FollowAsk {
    const ask = this.asks.at(-1);
    assert.ok(ask !== undefined, 'nothing was asked');
    return ask;
  }

  get view(): FollowerView {
    const [view] = this.followers.view(this.nowMs);
    assert.ok(view !== undefined);
    return view;
  }

  end(change: Partial<FollowOutcome> = {}, { run } = this.last): void {
    this.#ended.add(run);
    const outcome = { run, ok: true, changed: true, rolledBack: null, superseded: false, text: 'done', ...change };
    this.followers.finished(outcome, this.nowMs);
  }

  /** Lets this much time pass, waking when asked to. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (const atMs of this.#alarms.splice(0).sort((a, b) => a - b)) {
      if (atMs > endMs) this.#alarms.push(atMs);
      else this.followers.wake(atMs);
    }
    this.nowMs = endMs;
  }
}

const FAILED = { ok: false, changed: false, rolledBack: true, text: 'the check failed' } as const;

test('at start a service is verified, and where it stands right that is no news', () => {
  const stage = new Stage(files());
  assert.deepEqual(stage.asks, []);
  assert.deepEqual([stage.view.desired, stage.view.verified], [null, false]);
  stage.followers.want('fast', 0);
  assert.deepEqual(stage.asks, [{ run: 1, follower: files(), uplink: 'fast' }]);
  assert.ok(stage.view.running && !stage.view.verified);
  stage.end({ changed: false });
  assert.deepEqual([stage.view.actual, stage.view.verified, stage.view.running], ['fast', true, false]);
  assert.deepEqual(stage.records, []);
  stage.followers.want('fast', 10);
  stage.pass(1_000_000);
  assert.equal(stage.asks.length, 1, 'once is enough');
});

test('a switch during a run supersedes it and never interleaves with it', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.followers.want('backup', 1);
  assert.equal(stage.asks.length, 1, 'the run has to end first');
  assert.deepEqual(stage.cancelled, [1]);
  stage.followers.want('fast', 2);
  stage.followers.want('backup', 3);
  assert.deepEqual(stage.cancelled, [1], 'cancelled once');
  stage.end({ ok: false, superseded: true });
  assert.equal(stage.last.uplink, 'backup');
  stage.end();
  assert.equal(stage.view.actual, 'backup');
  assert.equal(stage.view.failures, 0);
});

test('a run that was too late to be cancelled is followed by the one that is wanted', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.followers.want('backup', 1);
  stage.end();
  assert.equal(stage.view.actual, 'fast');
  assert.deepEqual([stage.asks.length, stage.last.uplink], [2, 'backup']);
  stage.followers.want('fast', 2);
  stage.end({ ok: false, superseded: true });
  assert.deepEqual([stage.asks.length, stage.last.uplink], [3, 'fast'], 'not known where it stands: it is done anew');
});

test('failures: told once, tried again after 5 s, 15 s, 1 min, 5 min and 5 min, told when it works', () => {
  const stage = new Stage(files());
  stage.followers.want('backup', 0);
  for (const [failures, waitMs] of [5_000, 15_000, 60_000, 300_000, 300_000].entries()) {
    stage.end(FAILED);
    assert.deepEqual([stage.view.failures, stage.view.retryInMs, stage.view.text], [failures + 1, waitMs, 'the check failed']);
    const asks = stage.asks.length;
    stage.pass(waitMs - 1);
    assert.equal(stage.asks.length, asks, 'not before');
    stage.pass(1);
    assert.equal(stage.asks.length, asks + 1);
    assert.equal(stage.view.retryInMs, null);
  }
  assert.deepEqual(
    stage.records.map(({ kind, severity, text }) => [kind, severity, text]),
    [['action', 'error', 'exim: the check failed']],
  );
  stage.end({ changed: false, text: 'exim has the files of backup' });
  assert.deepEqual([stage.records.at(-1)?.severity, stage.records.at(-1)?.text], ['notice', 'exim has the files of backup']);
  assert.deepEqual([stage.view.failures, stage.view.verified], [0, true]);
});

test('a switch ends the waiting after a failure', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.end(FAILED);
  stage.followers.want('backup', 100);
  assert.deepEqual([stage.asks.length, stage.last.uplink], [2, 'backup']);
  assert.equal(stage.view.failures, 0);
});

test('what fails for an uplink that is no longer wanted delays nothing, and is told', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.followers.want('backup', 100);
  stage.end({ ...FAILED, rolledBack: false, text: 'could not be undone' });
  assert.deepEqual([stage.asks.length, stage.last.uplink, stage.view.failures], [2, 'backup', 0]);
  assert.equal(stage.records.at(-1)?.severity, 'warning');
});

test('superseded by somebody else: as a failure, not in circles', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.end({ ok: false, superseded: true, text: 'the helper ends' });
  assert.deepEqual([stage.asks.length, stage.view.retryInMs], [1, 5_000]);
});

test('an uplink without an entry leaves the service as it is', () => {
  const only = files({ copies: { fast: [{ from: '/a', to: '/c' }] } });
  const stage = new Stage(only);
  stage.followers.want('backup', 0);
  stage.followers.want('constructor', 0);
  assert.deepEqual(stage.asks, []);
  stage.followers.want('fast', 1);
  stage.end();
  stage.followers.want('backup', 2);
  assert.deepEqual([stage.view.desired, stage.view.actual, stage.view.verified], [null, 'fast', false]);
  stage.followers.want('fast', 3);
  assert.equal(stage.asks.length, 1, 'it still stands so');
  stage.followers.want('backup', 4);
  stage.followers.want('fast', 5);
  stage.end(FAILED, { run: 99, follower: only, uplink: 'fast' });
  assert.equal(stage.view.failures, 0, 'an outcome of nobody');
});

test('a changed configuration is brought into force, also over a run of the former one', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.end();
  stage.followers.configure([files()], 1);
  assert.equal(stage.asks.length, 1, 'nothing has changed');
  const changed = files({ reload: ['true'] });
  stage.followers.configure([changed], 2);
  assert.deepEqual(stage.last, { run: 2, follower: changed, uplink: 'fast' });

  const again = files({ reload: ['false'] });
  stage.followers.configure([again], 3);
  assert.deepEqual(stage.cancelled, [2]);
  assert.equal(stage.asks.length, 2);
  // It had gone too far to be cancelled: it achieved what the former configuration wants.
  stage.end();
  assert.equal(stage.view.verified, false);
  assert.deepEqual(stage.last, { run: 3, follower: again, uplink: 'fast' });
  stage.end();
  assert.ok(stage.view.verified);
});

test('a changed configuration that says nothing of the uplink in use asks for nothing', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.end();
  stage.followers.configure([files({ copies: { backup: [{ from: '/b', to: '/c' }] } })], 1);
  assert.equal(stage.asks.length, 1);
  assert.equal(stage.view.desired, null);
});

test('one that is taken out is left as it is; its run is ended', () => {
  const stage = new Stage(files());
  stage.followers.want('fast', 0);
  stage.followers.configure([], 1);
  assert.deepEqual(stage.cancelled, [1]);
  stage.end({ ok: false, superseded: true });
  assert.deepEqual([stage.asks.length, stage.followers.view(1).length, stage.records.length], [1, 0, 0]);
});

test('services do not wait for one another', () => {
  const stage = new Stage(files(), files({ name: 'msmtp' }));
  stage.followers.want('fast', 0);
  assert.deepEqual(
    stage.asks.map(({ follower }) => follower.name),
    ['exim', 'msmtp'],
  );
  const [first] = stage.asks;
  assert.ok(first !== undefined);
  stage.end(FAILED, first);
  stage.end();
  assert.deepEqual(
    stage.followers.view(0).map(({ verified }) => verified),
    [false, true],
  );
});
