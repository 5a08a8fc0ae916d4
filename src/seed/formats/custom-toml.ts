// Format `custom-toml`: custom.toml, which `firstboot` of Raspberry Pi OS bookworm applies once and removes.
//
// Facts from raspberrypi-sys-mods (bookworm, 2024-01): usr/lib/raspberrypi-sys-mods/init_config reads it, imager_custom and userconf do it.
import { plainKey } from '../../lib/ssh-key.ts';
import type { Node } from '../node.ts';
import type { Wifi } from '../network.ts';
import { shownSsid, wifiKey } from '../wifi.ts';
import { textFile, type Edit } from './edits.ts';
import { toml } from './toml.ts';

export function customTomlEdits({ node, users, network, timezone }: Node): Edit[] {
  const [user] = users;
  const { wifi } = network;
  const keys = user?.keys ?? [];
  const text = toml(
    { config_version: 1 },
    {
      system: { hostname: node },
      // Without a password the account is locked, and a key lets in.
      user: user === undefined ? {} : { name: user.name, ...hashed(user.passwordHash) },
      ssh: {
        enabled: true,
        // imager_custom sets neither yes nor no when it is absent.
        password_authentication: keys.length > 0 ? false : undefined,
        authorized_keys: keys.length > 0 ? keys.map(plainKey) : undefined,
      },
      wlan:
        wifi === undefined
          ? {}
          : { ssid: shownSsid(wifi.ssid), ...psk(wifi), hidden: wifi.hidden ?? false, country: wifi.country },
      locale: { timezone },
    },
  );
  return [textFile('custom.toml', text)];
}

const hashed = (password: string | undefined) => (password === undefined ? {} : { password, password_encrypted: true });

const psk = ({ ssid, password }: Wifi) =>
  password === undefined ? {} : { password: wifiKey(password, ssid), password_encrypted: true };
