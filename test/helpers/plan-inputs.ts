// What a plan is made of, small enough to read: a role, a base, a lock.
import type { PackageBase } from '../../src/base/definition.ts';
import type { Lock } from '../../src/base/lock.ts';
import type { LockedPackage } from '../../src/image/manifest.ts';
import { sha256 } from '../../src/lib/digest.ts';
import type { OverlayEntry, ResolvedRole, SourceFile } from '../../src/role/resolved.ts';

/** Where the inputs of `smallRole` lie; no plan may name it. */
export const HOST_FOLDER = '/srv/somebody/project';

/** A file of the user's with this content. */
export function source(content: string, folder = HOST_FOLDER): SourceFile {
  return { path: `${folder}/${sha256(content).slice(0, 8)}`, sha256: sha256(content), size: content.length };
}

/** A file of an overlay. */
export function overlayFile(path: string, content: string, folder = HOST_FOLDER): OverlayEntry {
  return {
    path,
    type: 'file',
    mode: 0o644,
    owner: 'root',
    group: 'root',
    source: source(content, folder),
    from: `${folder}/overlay`,
  };
}

/** A web application with one of everything that becomes a layer, but for run steps. */
export function smallRole(folder = HOST_FOLDER): ResolvedRole {
  return {
    version: 1,
    name: 'web',
    summary: 'A small web server',
    base: 'small',
    sources: [source('role', folder)],
    variables: { port: 3000 },
    packages: [{ name: 'nginx' }],
    removePackages: ['nano'],
    emulate: ['nginx'],
    debs: [source('deb', folder)],
    debconf: [{ package: 'tzdata', question: 'tzdata/Areas', type: 'select', value: 'Etc' }],
    aptSources: [],
    npm: [
      {
        source: `${folder}/app`,
        files: [{ path: 'package.json', mode: 0o644, file: source('{}', folder) }],
        destination: '/opt/web',
        owner: 'root',
        group: 'root',
        rebuild: [],
      },
    ],
    artifacts: [
      {
        url: 'https://example.org/x',
        sha256: sha256('x'),
        destination: '/opt/x',
        mode: 0o755,
        owner: 'root',
        group: 'root',
      },
    ],
    files: [overlayFile('etc/motd', 'Welcome\n', folder)],
    run: [],
    users: [{ name: 'web', system: true, groups: [], home: '/nonexistent', shell: '/usr/sbin/nologin', comment: '' }],
    groups: [],
    units: { enable: ['nginx.service'], disable: [], mask: [] },
    config: [{ filter: 'pi4', lines: ['hdmi_enable_4kp60=1'] }],
    cmdline: ['quiet'],
    timezone: 'Etc/UTC',
    locale: 'C.UTF-8',
    keymap: 'us',
    provision: [],
    health: [],
  };
}

export function smallBase(): PackageBase {
  return {
    name: 'small',
    kind: 'packages',
    version: 1,
    summary: 'A few packages',
    architecture: 'arm64',
    keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
    archives: [{ name: 'debian', suites: ['trixie'], components: ['main'] }],
    packages: ['systemd-sysv', 'linux-image-arm64'],
    emulate: ['systemd'],
    files: [{ path: 'etc/hostname', content: 'raspberrypi\n', mode: '0644' }],
    run: [{ name: 'services', script: 'systemctl enable ssh.service\n' }],
    boards: [{ name: 'Raspberry Pi 4', boots: true, note: 'everything' }],
  };
}

export function lockedPackage(name: string, version = '1.0-1'): LockedPackage {
  return {
    name,
    version,
    architecture: 'arm64',
    sha256: sha256(`${name} ${version}`),
    size: 1000,
    filename: `pool/main/${name}_${version}_arm64.deb`,
    source: 'debian',
  };
}

/** The .deb file of `smallRole`, as a package. */
export function smallDeb(): LockedPackage {
  const { sha256, size } = source('deb');
  return { name: 'own', version: '0.1', architecture: 'all', sha256, size, source: '', local: true };
}

export function smallLock(): Lock {
  return {
    version: 1,
    base: 'small',
    created: '2026-01-02T03:04:05Z',
    request: { base: sha256('base'), role: sha256('role') },
    tools: { amd64: [lockedPackage('tar')] },
    essential: ['libc6', 'base-files'],
    basePackages: ['base-files', 'systemd-sysv', 'libc6', 'linux-image-arm64'].map((name) => lockedPackage(name)),
    rolePackages: [lockedPackage('nginx', '1.26.3-3+deb13u1')],
    removed: ['nano'],
    artifacts: [{ url: 'https://example.org/x', sha256: sha256('x') }],
    npm: [{ destination: '/opt/web', lockfile: sha256('lockfile') }],
  };
}
