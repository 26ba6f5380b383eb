/** `backroute once` carries out what follows its switch before it ends. Needs root. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quick } from './config-file.js';
import { proof } from './gateway.js';

const SENDMAIL = `#!/bin/sh
[ -e "$(dirname "$0")/closed" ] && exit 75
cat >>"$(dirname "$0")/mails"
`;

proof(
  'once: services follow, hooks run and messages go out before it ends; what failed is left to the next run',
  { topology: 'classic', config: quick('classic'), start: false },
  async (gateway) => {
    const { lab, dir } = gateway;
    const path = (name: string): string => join(dir, name);
    const read = (name: string): string => (existsSync(path(name)) ? readFileSync(path(name), 'utf8') : '');
    mkdirSync(path('post'));
    writeFileSync(path('post/sendmail'), SENDMAIL, { mode: 0o755 });
    writeFileSync(path('hook'), `#!/bin/sh\nsleep 1\necho "$BACKROUTE_EVENT $BACKROUTE_TO" >>${path('hooked')}\n`, {
      mode: 0o755,
    });
    for (const uplink of ['fast', 'backup']) writeFileSync(path(`exim.${uplink}`), `smarthost of ${uplink}\n`);
    const copies = (uplink: string): object[] => [{ from: path(`exim.${uplink}`), to: path('exim.conf') }];
    const follow = { exim: { copies: { fast: copies('fast'), backup: copies('backup') } } };
    const notify = { admin: { mail: { to: 'admin@example.net', sendmail: path('post/sendmail') } } };
    gateway.configure(quick('classic', { top: { follow, notify, hooks: { commands: [[path('hook')]] } } }));

    assert.equal((await gateway.backroute('once')).code, 0);
    assert.equal(read('exim.conf'), 'smarthost of fast\n');
    assert.equal(read('post/mails'), '', 'nothing has happened');

    await lab.cut('fast', 'silent');
    writeFileSync(path('post/closed'), '');
    const run = await gateway.backroute('once');
    assert.equal(run.code, 0, run.stderr);
    assert.equal(read('exim.conf'), 'smarthost of backup\n');
    assert.equal(read('hooked'), 'health down\nswitch backup\n');
    const waiting = JSON.parse(await gateway.order('outbox', '--json')) as { messages: { subject: string }[] };
    assert.equal(waiting.messages.length, 2);
    assert.match(waiting.messages[0]?.subject ?? '', /^fast is down/);

    // The server is back: the next run delivers, in order, although nothing new has happened.
    rmSync(path('post/closed'));
    assert.equal((await gateway.backroute('once')).code, 0);
    const subjects = read('post/mails').match(/^Subject: .*$/gm) ?? [];
    assert.equal(subjects.length, 2);
    assert.match(subjects[0] ?? '', /fast is down/);
    assert.match(subjects[1] ?? '', /moved from fast to backup/);
    assert.deepEqual(
      readdirSync(join(gateway.stateDir, 'outbox')).filter((name) => name.endsWith('.json')),
      [],
    );
    assert.equal(read('hooked'), 'health down\nswitch backup\n');
  },
);
