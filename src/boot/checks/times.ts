// How long a boot took, as the machine itself counted it.
import type { BootTimes } from '../report.ts';
import type { Session } from '../session.ts';

const MANAGER = ['InitRDTimestampMonotonic', 'UserspaceTimestampMonotonic', 'FinishTimestampMonotonic'];

/**
 * Kernel, initrd and userspace as `systemd-analyze time` has them, and the end of cloud-init counted from power-on. A time
 * that the machine does not know (yet) is left out. `elapsed` gives the seconds since power-on.
 */
export async function readTimes(session: Session, elapsed: () => number): Promise<BootTimes> {
  const before = elapsed();
  const { stdout } = await session.ask(
    `cut -d' ' -f1 /proc/uptime; systemctl show --property=${MANAGER.join()}
     systemctl show --property=ActiveEnterTimestampMonotonic cloud-final.service`,
  );
  // The kernel's clock starts some seconds after the power.
  const poweredOn = before - Number(stdout.split('\n')[0]);
  return timesFrom(stdout, poweredOn);
}

/** `properties`: systemctl's `NAME=MICROSECONDS`, 0 for what has not been; `poweredOn`: seconds from power-on to the kernel. */
export function timesFrom(properties: string, poweredOn: number): BootTimes {
  const seconds = (name: string): number | undefined => {
    const micros = Number(new RegExp(`^${name}=(\\d+)$`, 'm').exec(properties)?.[1] ?? 0);
    return micros === 0 ? undefined : micros / 1e6;
  };
  const [initrd, userspace, finish] = MANAGER.map(seconds);
  const cloudInit = seconds('ActiveEnterTimestampMonotonic');
  const kernel = initrd ?? userspace;
  return {
    ...(kernel !== undefined && { kernel }),
    ...(initrd !== undefined && userspace !== undefined && { initrd: userspace - initrd }),
    ...(userspace !== undefined && finish !== undefined && { userspace: finish - userspace }),
    ...(cloudInit !== undefined && { cloudInit: cloudInit + poweredOn }),
  };
}

/** A second is 100 px wide otherwise, which makes ten metres of an emulated boot; systemd before 257 cannot scale. */
const PLOT = 'systemd-analyze plot --scale-svg=0.1 || systemd-analyze plot';

/** The drawing of `systemd-analyze plot`, its axis thinned out; undefined where the machine cannot draw it. */
export async function readPlot(session: Session): Promise<string | undefined> {
  const { status, stdout } = await session.ask(PLOT, { seconds: 240 });
  return status === 0 && stdout.includes('</svg>') ? withFewerLabels(stdout) : undefined;
}

/** Every tenth of a second has a line and every second a label (svg_graph_box of systemd's analyze-plot.c), too many at 10 px a second. */
export function withFewerLabels(svg: string): string {
  return svg
    .replaceAll(/^ *<line class="sec01" .*\n/gm, '')
    .replaceAll(/(<line class="sec1" .*\n) *<text class="sec" .*\n/g, '$1');
}
