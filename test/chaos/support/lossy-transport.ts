import type { Transport } from '../../../src/core/backplane/transport.ts';

/** A backplane that loses texts on their way to one replica now and then. @param isLost asked for each text that comes */
export const lossy =
  (isLost: () => boolean) =>
  (transport: Transport): Transport => ({
    name: transport.name,
    textBytes: transport.textBytes,
    open: (events) =>
      transport.open({
        connected: () => events.connected(),
        lost: (error) => events.lost(error),
        stillLost: (error) => events.stillLost(error),
        received: (text) => {
          if (!isLost()) events.received(text);
        },
      }),
    send: (texts) => transport.send(texts),
    renew: (reason) => transport.renew(reason),
    close: () => transport.close(),
  });
