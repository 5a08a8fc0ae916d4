// What macOS tells of this computer's disks. Every text but df's is a property list.
import { run } from './exec.ts';

/** Root's diskutil was seen to wait for ever for a stick that was broken: github.com/balena-io/etcher/issues/2028. */
const PATIENCE = 20_000;

const ask = async (...command: string[]): Promise<string> =>
  (await run(command, { signal: AbortSignal.timeout(PATIENCE) })).stdout;

/** Disks, partitions and APFS volumes. Throws PiimgError when diskutil is missing or fails. */
export const diskutilList = (): Promise<string> => ask('diskutil', 'list', '-plist');

/** APFS containers, with what their volumes are for. Throws like `diskutilList`. */
export const diskutilApfsList = (): Promise<string> => ask('diskutil', 'apfs', 'list', '-plist');

/** All of one disk, like `disk2`; undefined when it is gone. Throws PiimgError when diskutil is missing. */
export async function diskutilInfo(disk: string): Promise<string | undefined> {
  const options = { okCodes: [0, 1], signal: AbortSignal.timeout(PATIENCE) };
  const { stdout, exitCode } = await run(['diskutil', 'info', '-plist', disk], options);
  return exitCode === 0 ? stdout : undefined;
}

/** Disk images in use, and their files. Throws PiimgError when hdiutil is missing or fails. */
export const hdiutilInfo = (): Promise<string> => ask('hdiutil', 'info', '-plist');

/** The device, like `/dev/disk3s5`, on which a file or folder lies; undefined for what is in no disk, or not there. */
export async function deviceOf(file: string): Promise<string | undefined> {
  const { stdout } = await run(['df', '-P', file], { okCodes: [0, 1], signal: AbortSignal.timeout(PATIENCE) });
  return /^\/dev\/disk\d+\S*/.exec(stdout.trim().split('\n').at(-1) ?? '')?.[0];
}
