/**
 * HTTP and HTTPS probes against real servers on loopback.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Issued, issueCertificate } from '../../support/certificates.js';
import { ProbeBench, probePath, until } from '../../support/probe-bench.js';

const HOST = 'probe.example';
const LONG_AGO = new Date('2001-01-01T00:00:00Z');
const PAST = new Date('2002-03-04T00:00:00Z');
const FUTURE = new Date('2101-01-01T00:00:00Z');
const FAR_FUTURE = new Date('2102-01-01T00:00:00Z');

interface Asked {
  readonly port: number;
  readonly url?: string;
  readonly statuses?: readonly number[];
  readonly bodyContains?: string;
  readonly giveUpMs?: number;
}

async function listen(server: TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

type Tell = (asked: Asked) => Promise<string>;

async function withBench<T>(ca: readonly string[], run: (tell: Tell, bench: ProbeBench) => Promise<T>): Promise<T> {
  const bench = new ProbeBench({ ca });
  const tell: Tell = (asked) => {
    const { port, url = `http://${HOST}/`, statuses = [], bodyContains = null } = asked;
    return bench.told(bench.ask({ kind: 'http', url, port, statuses, bodyContains }, '127.0.0.1', probePath(), asked.giveUpMs));
  };
  try {
    return await run(tell, bench);
  } finally {
    bench.prober.close();
  }
}

/** Open descriptors of this process that are sockets. */
function sockets(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the descriptor of the listing itself
    }
  });
  return links.filter((link) => link.startsWith('socket:')).length;
}

let socketsBefore = 0;
before(() => {
  socketsBefore = sockets();
});
after(async () => {
  await until(() => sockets() <= socketsBefore, 'every socket to be given back');
});

describe('http probes', () => {
  let server: Server;
  let port: number;
  let handler: RequestListener;
  before(async () => {
    server = createServer((request, response) => handler(request, response));
    port = await listen(server);
  });
  after(() => server.close());

  const respond =
    (status: number, headers: Record<string, string> = {}, body = ''): RequestListener =>
    (_request, response) => {
      response.writeHead(status, headers).end(body);
    };

  test('the request is what the URL says, to the address given, without a lookup', async () => {
    let seen = '';
    handler = (request, response) => {
      seen = `${request.method} ${request.url} ${request.headers.host} ${request.headers.authorization} ${request.headers.connection}`;
      response.end();
    };
    const url = `http://me:s%20cret@${HOST}:8080/a/b?c=d`;
    assert.equal(await withBench([], (tell) => tell({ port, url })), 'answered');
    assert.equal(seen, `GET /a/b?c=d ${HOST}:8080 Basic ${Buffer.from('me:s cret').toString('base64')} close`);
  });

  for (const [name, response, asked, expected] of [
    ['200', respond(200), {}, 'answered'],
    ['204', respond(204), {}, 'answered'],
    ['404', respond(404), {}, 'bad-status: status 404'],
    ['404 that is expected', respond(404), { statuses: [404] }, 'answered'],
    ['200 where another is expected', respond(200), { statuses: [204] }, 'bad-status: status 200'],
    ['511', respond(511), { statuses: [511] }, 'portal: status 511: the network wants a login'],
    ['redirect to another host', respond(302, { location: 'http://login.hotel/' }), {}, 'portal: status 302 to login.hotel'],
    [
      'redirect to another host, expected or not',
      respond(302, { location: '//10.0.0.1/x' }),
      { statuses: [302] },
      'portal: status 302 to 10.0.0.1',
    ],
    ['redirect within the host', respond(301, { location: '/there' }), {}, 'answered'],
    ['redirect to https of the host', respond(301, { location: `https://${HOST.toUpperCase()}./` }), {}, 'answered'],
    [
      'redirect within the host where 200 is expected',
      respond(301, { location: '/' }),
      { statuses: [200] },
      'bad-status: status 301',
    ],
    ['redirect to nowhere', respond(302, { location: 'http://[' }), {}, 'bad-answer: status 302 to no URL'],
    ['304', respond(304), {}, 'bad-status: status 304'],
    ['the text is there', respond(200, {}, 'all is well'), { bodyContains: 'is well' }, 'answered'],
    [
      'portal with status 200',
      respond(200, {}, '<h1>Login</h1>'),
      { bodyContains: 'is well' },
      'bad-body: the first 14 bytes lack the expected text',
    ],
    ['no body', respond(204), { bodyContains: 'is well' }, 'bad-body: the first 0 bytes lack the expected text'],
    [
      'text behind 64 KiB',
      respond(200, {}, `${'x'.repeat(65536)}well`),
      { bodyContains: 'well' },
      'bad-body: the first 65536 bytes lack the expected text',
    ],
    ['text at the end of 64 KiB', respond(200, {}, `${'x'.repeat(65532)}well`), { bodyContains: 'well' }, 'answered'],
  ] as const) {
    test(name, async () => {
      handler = response;
      assert.equal(await withBench([], (tell) => tell({ port, ...asked })), expected);
    });
  }

  test('the text is found across chunks, before the body has ended', async () => {
    handler = (_request, response) => {
      response.write('all is w');
      setImmediate(() => response.write('ell'));
    };
    assert.equal(await withBench([], (tell) => tell({ port, bodyContains: 'is well' })), 'answered');
  });

  test('a body that breaks off, and one that never comes', async () => {
    handler = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setImmediate(() => response.destroy());
    };
    assert.match(await withBench([], (tell) => tell({ port, bodyContains: 'whole' })), /^bad-answer: response broken off/);
    handler = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).flushHeaders();
    };
    assert.equal(await withBench([], (tell) => tell({ port, bodyContains: 'whole', giveUpMs: 50 })), 'timeout: no answer');
  });

  test('nothing that speaks HTTP', async () => {
    const tcp = createTcpServer((socket) => {
      // Who does not read does not notice a reset.
      socket.on('error', () => {}).resume();
      socket.end('SSH-2.0-x\r\n');
    });
    const tcpPort = await listen(tcp);
    assert.match(await withBench([], (tell) => tell({ port: tcpPort })), /^bad-answer: no HTTP response: HPE_/);
    const url = `https://${HOST}/`;
    assert.match(await withBench([], (tell) => tell({ port: tcpPort, url })), /^tls: TLS handshake failed/);
    tcp.close();
    await once(tcp, 'close');
    assert.equal(await withBench([], (tell) => tell({ port: tcpPort })), 'refused: connection refused');
  });

  test('what cannot be asked', async () => {
    assert.equal(await withBench([], (tell) => tell({ port, url: 'nonsense' })), 'local-fault: nonsense is no URL');
  });

  test('no connection stays behind, whatever came of it', async () => {
    let open = 0;
    const counted = createServer((request, response) => {
      if (request.url === '/silent') return;
      response.write('x'.repeat(1000));
    });
    counted.on('connection', (socket) => {
      open++;
      socket.on('close', () => open--);
    });
    const countedPort = await listen(counted);
    await withBench([], async (tell, bench) => {
      assert.equal(await tell({ port: countedPort }), 'answered');
      assert.equal(await tell({ port: countedPort, url: `http://${HOST}/silent`, giveUpMs: 50 }), 'timeout: no answer');
      await until(() => open === 0, 'the connections to close');
      const question = {
        kind: 'http',
        url: `http://${HOST}/silent`,
        port: countedPort,
        statuses: [],
        bodyContains: null,
      } as const;
      const forgotten = bench.ask(question, '127.0.0.1');
      await until(() => open === 1, 'the connection');
      bench.prober.forget('fast/4');
      await until(() => open === 0, 'the forgotten connection to close');
      assert.deepEqual(bench.of(forgotten), []);
    });
    counted.close();
  });
});

describe('https probes', () => {
  const rootName = 'Test Root';
  const root = {
    name: rootName,
    ...issueCertificate({ name: rootName, issuer: null, from: LONG_AGO, to: FAR_FUTURE, ca: true }),
  };
  const middleName = 'Test Middle';
  const middle = {
    name: middleName,
    ...issueCertificate({ name: middleName, issuer: root, from: LONG_AGO, to: FAR_FUTURE, ca: true }),
  };
  const stranger = {
    name: rootName,
    ...issueCertificate({ name: rootName, issuer: null, from: LONG_AGO, to: FAR_FUTURE, ca: true }),
  };
  const dead = {
    name: 'Dead Root',
    ...issueCertificate({ name: 'Dead Root', issuer: null, from: LONG_AGO, to: PAST, ca: true }),
  };
  const leaf = { name: HOST, issuer: root, from: LONG_AGO, to: FAR_FUTURE, hosts: [HOST] };
  const good = issueCertificate(leaf);

  async function told(served: Issued, chain: readonly Issued[] = [], asked: Partial<Asked> = {}): Promise<string> {
    const names: unknown[] = [];
    const server = createSecureServer(
      { key: served.key, cert: [served, ...chain].map((issued) => issued.certificate).join('') },
      (_request, response) => response.end('well'),
    );
    server.on('secureConnection', (socket) => names.push(socket.servername));
    server.on('tlsClientError', () => {});
    const port = await listen(server);
    const ca = [root.certificate, dead.certificate];
    const line = await withBench(ca, (tell) => tell({ port, url: `https://${HOST}/`, bodyContains: 'well', ...asked }));
    server.close();
    if (asked.url === undefined && line.startsWith('answered')) assert.deepEqual(names, [HOST]);
    return line;
  }

  test('a good certificate', async () => assert.equal(await told(good), 'answered'));
  test('by way of an intermediate', async () => {
    assert.equal(await told(issueCertificate({ ...leaf, issuer: middle }), [middle]), 'answered');
  });
  test('an expired certificate is an answer with a note', async () => {
    assert.equal(await told(issueCertificate({ ...leaf, to: PAST })), 'answered (certificate expired 2002-03-04)');
    const behindMiddle = issueCertificate({ ...leaf, issuer: middle, to: PAST });
    assert.equal(await told(behindMiddle, [middle]), 'answered (certificate expired 2002-03-04)');
  });
  test('a certificate of the future: the clock may be wrong', async () => {
    const line = 'answered (certificate not valid before 2101-01-01: is the clock right?)';
    assert.equal(await told(issueCertificate({ ...leaf, from: FUTURE })), line);
  });
  test('another name', async () => {
    const line = /^tls: certificate not accepted: ERR_TLS_CERT_ALTNAME_INVALID/;
    assert.match(await told(issueCertificate({ ...leaf, hosts: ['other.example'] })), line);
    assert.match(await told(good, [], { url: 'https://127.0.0.1/' }), line);
  });
  test('signed by itself, or by nobody known', async () => {
    const self = issueCertificate({ ...leaf, issuer: null });
    assert.equal(await told(self), 'tls: certificate not accepted: DEPTH_ZERO_SELF_SIGNED_CERT');
    assert.match(await told(issueCertificate({ ...leaf, issuer: middle })), /^tls: certificate not accepted: UNABLE_TO_/);
  });
  test('being out of date excuses nothing else', async () => {
    const unknown = /^tls: certificate not accepted: .*issuer is unknown|^tls: certificate not accepted: (?!CERT_)/;
    assert.match(await told(issueCertificate({ ...leaf, issuer: null, to: PAST })), unknown);
    assert.match(await told(issueCertificate({ ...leaf, issuer: stranger, to: PAST })), unknown);
    assert.match(await told(issueCertificate({ ...leaf, issuer: stranger, to: PAST }), [stranger]), unknown);
    assert.equal(
      await told(issueCertificate({ ...leaf, to: PAST, hosts: ['other.example'] })),
      'tls: certificate not accepted: out of date, and made out to DNS:other.example',
    );
  });
  test('a leaf may not sign', async () => {
    const impostor = issueCertificate({ ...leaf, issuer: { name: HOST, ...good }, to: PAST });
    assert.match(await told(impostor, [good]), /^tls: /);
  });
  test('a trusted root that has expired', async () => {
    assert.match(await told(issueCertificate({ ...leaf, issuer: dead })), /^answered \(certificate expired/);
  });
});
