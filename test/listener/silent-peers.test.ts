import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { FarNetwork, noFarPeers } from '../support/far-peer.ts';
import { serve } from '../support/serve.ts';

/** A client that opens a stream, and says what comes. */
const reader = (url: string, httpVersion: 1 | 2): string => {
  const path = '/v1/events?access_token=dev:alice:demo';
  const open =
    httpVersion === 1
      ? `require('node:http').get('${url}${path}').on('response', show)`
      : `show(require('node:http2').connect('${url}').request({ ':path': '${path}' }))`;
  return `const show = (stream) => stream.on('data', (text) => console.log(String(text))); ${open};`;
};

/** One that opens a stream and then takes nothing. */
const standing = (url: string): string => `
  setInterval(() => {}, 60_000); // or a process with a socket that is paused has nothing to do
  require('node:http').get('${url}/v1/events?access_token=dev:alice:demo').on('response', (response) => {
    response.pause();
    console.log('open');
  });
`;

describe('a peer that goes without a word', { skip: noFarPeers }, () => {
  for (const [host, httpVersion] of [
    ['::', 1],
    ['0.0.0.0', 1],
    ['::', 2],
  ] as const)
    it(`while bytes are on their way to it is found, and its stream forgotten (listening on ${host}, HTTP/${httpVersion})`, async (t) => {
      const network = new FarNetwork(t);
      const service = await serve(
        t,
        { NOTIFY_HOST: host, NOTIFY_LIVE_CONFIRM_TIMEOUT: '0s' },
        { listener: { silentPeersMs: 200 } },
      );
      const connections = () => service.metric('notify_live_connections');
      const peer = network.run(t, reader(`http://${network.here}:${service.ports.client}`, httpVersion));
      await eventually('the stream is there', () => peer.stdout.includes('event: inbox'));
      await service.notify('alice', { title: 'heard' });
      await eventually('it hears', () => peer.stdout.includes('heard'));
      const here = await service.open('alice');
      assert.equal(await connections(), 2);
      network.vanish();
      await service.notify('alice', { title: 'unheard' });
      await eventually('the stream is forgotten', async () => (await connections()) === 1);
      assert.equal(here.ended, false);
    });

  it('is not taken for one that stands still, which answers for itself', async (t) => {
    const network = new FarNetwork(t);
    const service = await serve(
      t,
      { NOTIFY_HOST: '0.0.0.0', NOTIFY_LIVE_CONFIRM_TIMEOUT: '0s' },
      { listener: { silentPeersMs: 100 } },
    );
    const peer = network.run(t, standing(`http://${network.here}:${service.ports.client}`));
    await eventually('the stream is there', () => peer.stdout.includes('open'));
    const body = 'x'.repeat(60_000);
    // more than the kernels of both sides take
    await eventually('it is full', async () => {
      for (let i = 0; i < 20; i++) await service.notify('alice', { body });
      return (await service.metric('notify_streams_blocked_total')) > 0;
    });
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // many looks
    assert.equal(await service.metric('notify_live_connections'), 1);
  });
});
