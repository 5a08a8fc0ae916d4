// NetworkManager's keyfiles for the network of a node (nm-settings-keyfile(5)).
import { isIPv6 } from 'node:net';
import { splitCidr, type Network, type Ssid, type Wifi } from '../network.ts';
import { byteList, wifiKey } from '../wifi.ts';

/** Whether a keyfile takes the name as it is: no escapes, no list of bytes, no space at either end. */
export const plainSsid = (ssid: Ssid): ssid is string => typeof ssid === 'string' && !/[\\;]|^\s|\s$/.test(ssid);

/** `UUID` stands for what the machine draws itself. */
export function wifiKeyfile({ ssid, password, hidden = false }: Wifi): string {
  return keyfile({
    connection: { id: 'piimg-wifi', uuid: 'UUID', type: 'wifi' },
    wifi: { mode: 'infrastructure', ssid: plainSsid(ssid) ? ssid : byteList(ssid), hidden: String(hidden) },
    ...(password !== undefined && { 'wifi-security': { 'key-mgmt': 'wpa-psk', psk: wifiKey(password, ssid) } }),
    ipv4: { method: 'auto' },
    ipv6: { method: 'auto' },
  });
}

/** Wired cards: fixed addresses, DHCP for the family that has none; undefined where there is nothing to say. */
export function wiredKeyfile({ addresses, gateway, dns }: Network): string | undefined {
  if (addresses.length === 0 && dns.length === 0) return undefined;
  const family = (six: boolean): Record<string, string> => {
    const own = addresses.filter((cidr) => isIPv6(splitCidr(cidr).address) === six);
    const servers = dns.filter((server) => isIPv6(server) === six);
    return {
      method: own.length > 0 ? 'manual' : 'auto',
      ...Object.fromEntries(own.map((cidr, index) => [`address${index + 1}`, cidr])),
      ...(gateway !== undefined && isIPv6(gateway) === six && { gateway }),
      ...(servers.length > 0 && { dns: `${servers.join(';')};` }),
    };
  };
  return keyfile({
    // Before the profile that NetworkManager makes of itself, with priority -999.
    connection: { id: 'piimg-wired', uuid: 'UUID', type: 'ethernet', 'autoconnect-priority': '10' },
    ethernet: {},
    ipv4: family(false),
    ipv6: family(true),
  });
}

function keyfile(groups: Record<string, Record<string, string>>): string {
  const text = Object.entries(groups).map(([name, keys]) =>
    [`[${name}]`, ...Object.entries(keys).map(([key, value]) => `${key}=${value}`)].join('\n'),
  );
  return `${text.join('\n\n')}\n`;
}
