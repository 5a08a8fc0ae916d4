// Reports as a boot test makes them, of every outcome, with a machine that says what it should not.
import type { BootReport, BootRun, CheckResult } from '../../src/boot/report.ts';
import { withUnasked } from '../../src/boot/report/unasked.ts';

/** What a guest may put on its console to look like something else: markup, escape sequences, bytes XML forbids, bidi overrides. */
export const HOSTILE =
  '<script>document.title="taken"</script><img src="http://198.51.100.1/x.png" onerror="document.title=\'taken\'">' +
  '</pre></mark>]]>&amp;\x1b[31m red \x1b]0;title\x07\0\x08\ud800\u202egnorw';

const UNITS = `systemd-journald.service - Journal Service
systemd-udevd.service - Rule-based Manager for Device Events and Files
systemd-fsck-root.service - File System Check on Root Device
systemd-remount-fs.service - Remount Root and Kernel File Systems
systemd-random-seed.service - Load/Save OS Random Seed
systemd-sysctl.service - Apply Kernel Variables
systemd-tmpfiles-setup.service - Create System Files and Directories
boot-firmware.mount - /boot/firmware
cloud-init-main.service - Cloud-init: Single Process
cloud-init-local.service - Cloud-init: Local Stage (pre-network)
nftables.service - nftables
systemd-networkd.service - Network Configuration
cloud-init-network.service - Cloud-init: Network Stage
dbus.service - D-Bus System Message Bus
ssh.service - OpenBSD Secure Shell server
cloud-config.service - Cloud-init: Config Stage
systemd-logind.service - User Login Management
unattended-upgrades.service - Unattended Upgrades Shutdown`.split('\n');

const stamp = (seconds: number) => `[${seconds.toFixed(6).padStart(12)}]`;

const KERNEL = `Booting Linux on physical CPU 0x0000000000 [0x410fd083]
Linux version 6.12.57+deb13-arm64 (debian-kernel@lists.debian.org) (aarch64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0)
Machine model: linux,dummy-virt
efi: UEFI not found.
psci: PSCIv1.1 detected in firmware.
percpu: Embedded 33 pages/cpu s96088 r8192 d30888 u135168
Kernel command line: root=PARTUUID=a3b1c2d4-02 rw rootwait console=ttyAMA0
Memory: 957820K/1048576K available (17536K kernel code, 2794K rwdata, 12032K rodata, 9344K init, 1018K bss)
smp: Brought up 1 node, 2 CPUs
devtmpfs: initialized
NET: Registered PF_NETLINK/PF_ROUTE protocol family
Unpacking initramfs...
Freeing initrd memory: 22464K
virtio_blk virtio1: [vda] 8388608 512-byte logical blocks (4.29 GB/4.00 GiB)
 vda: vda1 vda2
EXT4-fs (vda2): mounted filesystem 5a3e1c9a-0d5b-5d7e-9f5c-3c8c6a1c7e10 r/w with ordered data mode. Quota mode: none.
systemd[1]: systemd 257.9-1~deb13u1 running in system mode
systemd[1]: Detected virtualization qemu.
systemd[1]: Detected architecture arm64.
systemd[1]: Hostname set to <web-1>.`.split('\n');

const kernelLines = KERNEL.map((text, index) => `${stamp(index * 0.61)} ${text}`);
const unitLines = UNITS.flatMap((unit) => [`         Starting ${unit}...`, `[  OK  ] Started ${unit}.`]);
const cloudInit = `[   52.418817] cloud-init[412]: Cloud-init v. 25.1.4 finished at Sat, 21 Nov 2026 02:48:48 +0000. Datasource DataSourceNoCloud.  Up 52.41 seconds`;

/** As `systemd-analyze plot --scale-svg=0.2` draws it, a bar a unit, 20 pixels a second; with what a guest could add. */
const BARS: [string, string, number, number][] = [
  ['kernel', 'kernel', 0, 11.6],
  ['initrd', 'initrd', 11.6, 3.2],
  ['systemd', 'active', 14.8, 44.1],
  ...UNITS.map((unit, index): [string, string, number, number] => [
    unit.split(' ')[0] ?? '',
    'activating',
    15.4 + index * 1.7,
    1.2 + ((index * 7) % 5),
  ]),
];
const plot = `<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<svg width="1500px" height="${BARS.length * 20 + 110}px" version="1.1" xmlns="http://www.w3.org/2000/svg">
<style type="text/css">.bg{fill:#fff} .active{fill:#f66} .activating{fill:#c77} .kernel{fill:#969696} .initrd{fill:#bbb} text{font:12px sans-serif} line{stroke:#ddd}</style>
<rect class="bg" width="100%" height="100%"/><text x="20" y="30">Debian GNU/Linux 13 (trixie) web-1 (Linux 6.12.57+deb13-arm64) arm64</text>
<text x="20" y="50">Startup finished in 11.604s (kernel) + 3.218s (initrd) + 44.116s (userspace) = 58.939s</text>
${Array.from({ length: 13 }, (_, tick) => `<line x1="${tick * 100 + 20}" y1="70" x2="${tick * 100 + 20}" y2="${BARS.length * 20 + 90}"/><text x="${tick * 100 + 22}" y="80">${tick * 5}.0s</text>`).join('\n')}
${BARS.map(([name, kind, from, long], index) => `<rect class="${kind}" x="${from * 20 + 20}" y="${index * 20 + 90}" width="${long * 20}" height="18"/><text x="${from * 20 + 26}" y="${index * 20 + 104}">${name}</text>`).join('\n')}
<image href="http://198.51.100.1/plot.png" width="9" height="9"/><script>document.title = 'taken'</script>
</svg>
`;

const passedCheck = (name: string, kind: string, seen: string, at: number, attempts = 1): CheckResult => ({
  name,
  kind,
  status: 'passed',
  seen,
  at,
  attempts,
});

const checks: CheckResult[] = [
  passedCheck('application runs', 'unit', 'active (running)', 55.2, 4),
  { ...passedCheck('application answers', 'http', 'HTTP 200, “ok”', 58.1, 6), expected: 'HTTP 200, body with “ok”' },
  passedCheck('application calls itself ok', 'http', 'HTTP 200, status: ok', 58.4, 6),
  passedCheck('no failed units', 'always', '0 failed of 148 units', 58.9),
  passedCheck('cloud-init done without errors', 'always', 'done', 52.6, 9),
  passedCheck('root file system grown to the card', 'always', '3.5 GiB of 3.5 GiB', 53.0),
  passedCheck('machine id is fresh', 'always', '5f0c6f8a2d6e4b5b9d1f3a7c8e2b4d60', 53.1),
  passedCheck('host keys are fresh', 'always', 'ED25519, ECDSA, RSA of this boot', 53.1),
  passedCheck('no login with a password', 'always', 'refused: publickey only', 53.4),
  passedCheck('port 5432 is closed to other machines', 'closed', 'no answer', 56.0),
  passedCheck('machine switches itself off', 'always', 'after 4.9 s', 64.4),
  passedCheck('file systems are clean afterwards', 'always', 'e2fsck: clean; fsck.vfat: clean', 66.0),
];

const goodBoot: BootRun = {
  checks,
  times: { kernel: 11.6, initrd: 3.2, userspace: 44.1, cloudInit: 52.4, health: 58.9, powerOff: 4.9 },
  plot,
  console: [...kernelLines, ...unitLines, cloudInit, 'Debian GNU/Linux 13 web-1 ttyAMA0', '', 'web-1 login: '].join(
    '\n',
  ),
};

/** Role web, healthy. */
export const passedReport: BootReport = {
  version: 1,
  verdict: 'passed',
  image: {
    file: 'out/web.img',
    sha256: '9f2c4a7b1d3e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8',
    role: 'web',
    base: 'debian-trixie',
    buildId: '4be1a7c05d9f3e2186b07c4d5a9e8f13204b6c7d8e9fa0b1c2d3e4f5a6b7c8d9',
  },
  machine: { name: 'virt', title: 'QEMU virt, Cortex-A72, 1 GiB', accelerator: 'tcg', qemu: '7.2.19' },
  boots: [goodBoot],
  warnings: ['config.txt: dtoverlay=vc4-kms-v3d cannot be applied on this machine'],
  notExercised: [
    'the GPU firmware (start4.elf): piimg reads config.txt in its place',
    'the watchdog',
    'Wi-Fi, Bluetooth, HDMI and the GPIO pins',
  ],
  earlier: {
    kernel: 11.4,
    initrd: 3.2,
    userspace: 41.0,
    cloudInit: 49.7,
    health: 55.6,
    started: 1_795_200_000,
    buildId: '9'.repeat(64),
  },
  started: 1_795_240_800,
  seconds: 78.3,
};

/** The same with a second boot. */
export const rebootedReport: BootReport = {
  ...passedReport,
  boots: [
    goodBoot,
    {
      ...goodBoot,
      checks: [
        ...checks.slice(0, 4),
        passedCheck('machine id is that of the first boot', 'always', '5f0c6f8a2d6e4b5b9d1f3a7c8e2b4d60', 41.1),
      ],
      times: { kernel: 11.5, initrd: 3.1, userspace: 24.0, cloudInit: 33.8, health: 40.2, powerOff: 4.7 },
    },
  ],
};

const PANIC = `${stamp(14.2)} ---[ end Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100 ]---`;
const panicLines = [
  `${stamp(14.1)} Run /init as init process`,
  `${stamp(14.15)} /init: line 12: ${HOSTILE}`,
  `${stamp(14.2)} Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100`,
  `${stamp(14.2)} CPU: 1 UID: 0 PID: 1 Comm: init Not tainted 6.12.57+deb13-arm64 #1  Debian 6.12.57-1`,
  `${stamp(14.2)} Hardware name: linux,dummy-virt (DT)`,
  `${stamp(14.2)} Call trace:`,
  ...[
    'dump_backtrace',
    'show_stack',
    'dump_stack_lvl',
    'dump_stack',
    'panic',
    'do_exit',
    'do_group_exit',
    'el0_svc',
  ].map(
    (name, index) => `${stamp(14.2)}  ${name}+0x${(index * 28 + 96).toString(16)}/0x${(index * 40 + 300).toString(16)}`,
  ),
  `${stamp(14.2)} SMP: stopping secondary CPUs`,
  PANIC,
];

/** A kernel that panicked; its console is hostile. */
export const panickedReport: BootReport = {
  ...passedReport,
  verdict: 'failed',
  reason: {
    code: 'panic',
    message: 'The kernel panicked 14 s after power-on: Attempted to kill init! exitcode=0x00000100',
    hint: 'The initramfs ended with an error: look at the lines before the panic, then at what the role adds to the initramfs.',
  },
  boots: [
    {
      checks: checks.map((check) => ({
        ...check,
        status: 'not run',
        seen: 'the machine did not come up',
        attempts: 0,
        at: 14.2,
      })),
      times: {},
      console: [...kernelLines.slice(0, 15), ...panicLines].join('\n'),
      marked: [15, 15 + panicLines.length],
    },
  ],
  seconds: 17.9,
};

const failure = [
  `[FAILED] Failed to start web.service - Web application.`,
  `See 'systemctl status web.service' for details.`,
  `[   47.902113] web[688]: Error: Cannot find module '/opt/web/index.js' ${HOSTILE}`,
];
const before = [...kernelLines, ...unitLines];

/** A service that does not start, and what hangs on it; what it answers is hostile. */
export const unhealthyReport: BootReport = {
  ...passedReport,
  verdict: 'failed',
  reason: {
    code: 'check',
    message: '3 of 12 checks failed',
    hint: 'Start with web.service: `journalctl -u web` in `piimg boot out/web.img` shows why it ended.',
  },
  boots: [
    {
      ...goodBoot,
      checks: checks.map((check): CheckResult => {
        if (check.name === 'application runs')
          return {
            ...check,
            status: 'failed',
            expected: 'active',
            seen: 'failed (Result: exit-code)',
            at: 115.2,
            attempts: 31,
          };
        if (check.name === 'application answers')
          return { ...check, status: 'failed', seen: `HTTP 502, “${HOSTILE}”`, at: 118.3, attempts: 33 };
        if (check.name === 'no failed units')
          return { ...check, status: 'failed', expected: '0 failed', seen: '1 failed: web.service', at: 119 };
        if (check.kind === 'http') return { ...check, status: 'not run', seen: 'the port gave no answer', attempts: 0 };
        return check;
      }),
      times: { kernel: 11.6, initrd: 3.2, userspace: 44.1, cloudInit: 52.4, powerOff: 4.9 },
      console: [...before, ...failure, cloudInit, 'web-1 login: '].join('\n'),
    },
  ],
  seconds: 141.7,
};

/** A card without a kernel: there was no boot. */
export const wouldNotBootReport: BootReport = {
  ...passedReport,
  verdict: 'failed',
  reason: {
    code: 'would-not-boot',
    message: 'This card would not boot: config.txt names the kernel vmlinuz-6.12, which is not on the boot partition',
    hint: 'Look at what writes /boot/firmware last: a role must not remove the kernel.',
  },
  boots: [],
  warnings: [],
  seconds: 0.4,
};

/** A machine without a network: the login prompt was seen, and nothing asked. */
export const loginReport: BootReport = withUnasked(
  {
    ...passedReport,
    machine: { name: 'raspi4b', title: 'Raspberry Pi 4B (QEMU raspi4b)', accelerator: 'tcg', qemu: '9.2.0' },
    boots: [
      {
        checks: [passedCheck('asks for a login', 'always', 'a login prompt', 91.4, 80)],
        times: {},
        console: goodBoot.console,
      },
    ],
  },
  checks.slice(0, 3).map(({ name, kind }) => ({ name, kind, expected: 'active' })),
);
