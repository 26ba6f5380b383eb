/**
 * The program that answers a traffic meter: sends every UDP datagram back from the address it came to. Argument: JSON list of
 * `{address, port}`.
 */
import { FdLoop } from './fd-loop.js';
import { sayReady } from './helper-process.js';
import { echoWaiting, runAhead, udpSocket } from './libc.js';
import { watchTether } from './tether.js';

const endpoints: { address: string; port: number }[] = JSON.parse(process.argv[2] ?? '[]');
runAhead();
const loop = new FdLoop();
const buffer = Buffer.alloc(65_536);
const from = Buffer.alloc(28);
const length = Buffer.alloc(4);
for (const { address, port } of endpoints) {
  const fd = udpSocket('bind', address, port);
  loop.watch(fd, () => echoWaiting(fd, buffer, from, length));
}
watchTether(loop, () => loop.stop());
sayReady();
loop.run(() => Number.POSITIVE_INFINITY);
