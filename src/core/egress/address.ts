import ipaddr from 'ipaddr.js';

/** Who is behind an address: anybody's server; one that the operator made an exception for; or nobody we may reach. */
export type Reach = 'public' | 'allowed' | 'private';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Global unicast (RFC 4291 §2.4): nothing else of IPv6 is given to public servers. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');
/** IPv4 in IPv6, by a translator (RFC 6052 §2.1). */
const nat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** Azure's metadata and DNS, though in public space. */
const wireServer = ipaddr.IPv4.parseCIDR('168.63.129.16/32');

/**
 * Which addresses a URL that somebody else chose may lead to: public ones (IANA's special-purpose registries, RFC 6890) and
 * the operator's exceptions.
 */
export class AddressRules {
  readonly #allow: readonly [Address, number][];

  /** @param allow networks as address/bits */
  constructor(allow: readonly string[]) {
    this.#allow = allow.map((network) => ipaddr.parseCIDR(network));
  }

  /** @param text an address in any notation that a connection takes: decimal and octal parts too. Else it is private */
  reachOf(text: string): Reach {
    if (!ipaddr.isValid(text)) return 'private';
    const written = ipaddr.parse(text);
    const address = withoutWrapping(written);
    if (this.#isAllowed(written) || this.#isAllowed(address)) return 'allowed';
    return isPublic(address) ? 'public' : 'private';
  }

  #isAllowed(address: Address): boolean {
    return this.#allow.some((network) => isWithin(address, network));
  }
}

/** The IPv4 address that is reached where an IPv6 one only carries it. */
function withoutWrapping(address: Address): Address {
  if (!isIPv6(address)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  return isWithin(address, nat64) ? new ipaddr.IPv4(address.toByteArray().slice(12)) : address;
}

function isPublic(address: Address): boolean {
  // every special range has a name of its own: 6to4, Teredo, benchmarks, documentation …
  if (address.range() !== 'unicast') return false;
  return isIPv6(address) ? isWithin(address, globalUnicast) : !isWithin(address, wireServer);
}

/** A network of the other family holds nothing. */
const isWithin = (address: Address, [network, bits]: [Address, number]): boolean =>
  address.kind() === network.kind() && address.match(network as never, bits);

const isIPv6 = (address: Address): address is ipaddr.IPv6 => address.kind() === 'ipv6';
