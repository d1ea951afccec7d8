/** How a request is spoken, by its content type. */
export interface Protocol {
  readonly kind: 'connect' | 'connect_stream' | 'grpc' | 'grpc_web';
  readonly isJson: boolean;
}

const protocols: Readonly<Record<string, Protocol>> = {
  'application/json': { kind: 'connect', isJson: true },
  'application/proto': { kind: 'connect', isJson: false },
  'application/connect+json': { kind: 'connect_stream', isJson: true },
  'application/connect+proto': { kind: 'connect_stream', isJson: false },
  'application/grpc': { kind: 'grpc', isJson: false },
  'application/grpc+proto': { kind: 'grpc', isJson: false },
  'application/grpc+json': { kind: 'grpc', isJson: true },
  'application/grpc-web': { kind: 'grpc_web', isJson: false },
  'application/grpc-web+proto': { kind: 'grpc_web', isJson: false },
  'application/grpc-web+json': { kind: 'grpc_web', isJson: true },
};

export const contentTypes: readonly string[] = Object.keys(protocols);

/** UTF-8 as a charset: its name, and the label without the hyphen that many clients write (WHATWG Encoding §4.2). */
const utf8 = /^utf-?8$/i;

/** The protocol of a content type, whatever its parameters; undefined for one that is not spoken here. */
export function protocolOf(contentType: string | undefined): Protocol | undefined {
  if (contentType === undefined) return undefined;
  const known = protocols[contentType];
  if (known !== undefined) return known;
  const [type = '', ...parameters] = contentType.split(';');
  const charset = parameters
    .map((p) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/i.exec(p)?.[1])
    .find((c) => c !== undefined);
  if (charset !== undefined && !utf8.test(charset)) return undefined;
  return protocols[type.trim().toLowerCase()];
}

/** Whether a method of this kind can be called by a protocol: Connect has content types of its own for streams. */
export const fits = (protocol: Protocol, isStream: boolean): boolean =>
  isStream ? protocol.kind !== 'connect' : protocol.kind !== 'connect_stream';

/** For Accept-Post, on an answer to any other content type. */
export const acceptPost = (isStream: boolean): string =>
  Object.entries(protocols)
    .filter(([, protocol]) => fits(protocol, isStream))
    .map(([type]) => type)
    .join(', ');
