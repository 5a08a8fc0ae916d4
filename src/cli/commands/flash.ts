// `piimg flash`: writes an image to cards, each with its identity, reads them back, and notes them in the ledger.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { formatCompared, formatFlashed } from '../../ui/flash-summary.ts';
import { formatFlashPlan } from '../../ui/flash-plan.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext, type Context } from '../context.ts';
import { chooseCard, somebodyIsThere } from '../flashing/ask.ts';
import { letsNobodyIn, toldLater } from '../flashing/closed.ts';
import { confirmTargets } from '../flashing/confirm.ts';
import { requireFile } from '../flashing/file-target.ts';
import { ageOf, flashCards, nameOf, type Flashed, type ReadyCard } from '../flashing/flash.ts';
import { keptIdentity, prepareIdentities, type Identity } from '../flashing/identities.ts';
import { coveringAll, keptFile, mappedBytes, neededBytes, openImage, type FlashImage } from '../flashing/image.ts';
import { recordsOn } from '../flashing/known-card.ts';
import { lastBuild } from '../flashing/last-build.ts';
import { keepLedger, notedDigest, notedPlaces, withWhy } from '../flashing/note.ts';
import { nextSteps } from '../flashing/next-steps.ts';
import { openerHere, withOpener, type Opener } from '../flashing/opener.ts';
import { canGoOn, resumePoint } from '../flashing/resume.ts';
import { findTargets, fitting, listTargets, sortWords, type Named, type Target } from '../flashing/targets.ts';
import { again } from '../own-command.ts';
import type { NodeFlags } from '../seed-options.ts';
import { print, printJson, sayer } from './output.ts';

export interface FlashFlags extends NodeFlags {
  role?: string;
  sha256?: string;
  to?: string;
  from?: string;
  /** false: --no-login, --no-verify. */
  login: boolean;
  verify: boolean;
  verifyOnly?: boolean;
  resume?: boolean;
  wipe?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  confirm?: string[];
  allowFixed?: boolean;
  json?: boolean;
  progress: ProgressKind;
}

export async function flash(words: string[], flags: FlashFlags, signal: AbortSignal): Promise<void> {
  const mode = modeOf(flags);
  const { image: named, cards } = await sortWords(words);
  if (flags.to !== undefined && cards.length > 0)
    throw usage('Either cards or --to FILE', 'Write the file, then the cards.');
  const context = createContext(signal, flags.progress);
  if (cards.length === 0 && flags.to === undefined && !somebodyIsThere())
    throw usage('No card was named', 'piimg drives lists what could be one. A file is written with --to FILE.');
  const write = mode !== 'verify';
  const found = await openImage(await imageOf(named, flags, context), signal, { sha256: flags.sha256, write });
  const targets = flags.to === undefined ? await targetsOf(cards, found, { ...flags, write }, signal) : [];
  const opened = write ? await fitting(found, targets, context) : found;
  if (flags.to !== undefined) await requireFile(flags.to, opened, write);
  const names = targets.length > 0 ? targets.map(({ node }) => node) : [undefined];
  const places = mode === 'verify' ? await notedPlaces(opened) : [];
  const identities =
    mode === 'verify' ? names.map(() => keptIdentity(places)) : await prepareIdentities(opened, names, flags, context);
  const image = coveringAll(
    opened,
    identities.flatMap(({ patches }) => patches),
  );
  const say = sayer(flags.progress);
  const digest = await notedDigest(image);
  const disks = targets.map(({ identity }) => identity.path);
  /** Shows what would be done, each card with what it was. */
  const show = async (opener: Opener): Promise<ReadyCard[]> => {
    const was = await recordsOn(disks, opener);
    signal.throwIfAborted();
    const ready = identities.map(({ node, cardId, patches }, index): ReadyCard => {
      const target = targets[index];
      const goesOn = flags.resume && target !== undefined && image.source.rereadable;
      const resumeFrom = goesOn ? resumePoint(context.cacheDir, target, image) : 0;
      return { target, was: was[index], file: flags.to, node, cardId, patches, resumeFrom };
    });
    for (const warning of [...image.warnings, ...identities.flatMap(({ warnings }) => warnings)])
      say(`warning: ${warning}`);
    const why = image.source.rereadable
      ? 'no earlier run is known that could go on'
      : 'what comes from stdin cannot go on';
    for (const { target, resumeFrom } of flags.resume ? ready : [])
      if (resumeFrom === 0) say(`warning: ${target?.device.path} is written from the beginning: ${why}`);
    say(formatFlashPlan(await shownImage(image, digest), ready.flatMap(shownTarget), styleFor(process.stderr)));
    return ready;
  };
  if (flags.dryRun) {
    // What is only said needs no password: of a disk that this user may not read, it is then not known whose card it was.
    const ready = await show(openerHere(signal));
    say('Nothing was written: --dry-run.');
    if (flags.json) printJson(jsonPlan(image, digest, ready));
    return;
  }
  const later = write && flags.login && toldLater(image);
  const ledger = keepLedger(image, flags.wipe ?? false, { sha256: digest, say });
  const { flashed, closed } = await withOpener(disks, { write, signal }, async (opener) => {
    const ready = await show(opener);
    if (write) await confirmTargets(targets, { yes: flags.yes ?? false, confirm: flags.confirm ?? [] }, signal);
    const cards = await flashCards(image, ready, { mode, wipe: flags.wipe ?? false }, { ...context, opener }, (one) => {
      if (write) ledger.add(one);
    });
    return { flashed: cards, closed: later ? await letsNobodyIn(cards, opener) : undefined };
  });
  // As JSON says it: null where it was looked for and not found out.
  const known = later ? (closed ?? null) : undefined;
  const rows = await ledger.rows();
  const resumable = targets.length > 0 && identities.every(({ patches }) => canGoOn(image, patches));
  const goOn = resumable ? commandAgain(cards.length > 0 ? [] : targets) : undefined;
  const compared = { image: image.source.name, own: places.length > 0 };
  const summary = (stream: NodeJS.WriteStream): string =>
    mode === 'verify'
      ? flashed
          .map((one) => formatCompared({ ...withWhy(one, image, places), ...compared }, styleFor(stream)))
          .join('\n')
      : [
          formatFlashed(flashed.map(shownCard), styleFor(stream)),
          ...nextSteps(flashed, identities, {
            own: image.header !== undefined,
            closed,
            unknown: known === null && flashed.some(({ problem }) => problem === undefined),
            goOn,
          }),
        ].join('\n');
  if (flags.json)
    printJson({
      cards: flashed.map((one, index) => jsonCard(one, identities[index])),
      ...(known !== undefined && { closed: known }),
      ledger: rows,
    });
  else if (signal.aborted) say(summary(process.stderr));
  else print(summary(process.stdout));
  signal.throwIfAborted();
  if (flashed.some(({ problem }) => problem !== undefined)) process.exitCode = EXIT.failed;
}

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });

function modeOf({ verify, verifyOnly, resume, wipe, to, node, from }: FlashFlags): 'write' | 'write+verify' | 'verify' {
  if (verifyOnly && (resume || wipe || !verify))
    throw usage('--verify-only writes nothing: it goes with none of --resume, --wipe, --no-verify', 'Leave one out.');
  if (verifyOnly && (node !== undefined || from !== undefined))
    throw usage('--verify-only writes no identity: it goes with neither --node nor --from', 'Leave one out.');
  if (to !== undefined && (wipe || resume))
    throw usage('A file is written anew: --to goes with neither --wipe nor --resume', 'Leave one out.');
  if (resume && !verify)
    throw usage('--resume trusts nothing that was not read back: it does not go with --no-verify', 'Leave one out.');
  return verifyOnly ? 'verify' : verify ? 'write+verify' : 'write';
}

async function imageOf(named: string | undefined, { role }: FlashFlags, context: Context): Promise<string> {
  if (named !== undefined && role !== undefined) throw usage('Either an image or --role', 'Leave one out.');
  if (role !== undefined) {
    // All of the build comes with it, which takes as long to load as all the rest.
    const { built } = await import('./test.ts');
    return built(role, {}, context);
  }
  return named ?? (await lastBuild(context.cacheDir));
}

async function targetsOf(
  cards: Named[],
  image: FlashImage,
  { allowFixed = false, write }: Pick<FlashFlags, 'allowFixed'> & { write: boolean },
  signal: AbortSignal,
): Promise<Target[]> {
  const file = await keptFile(image);
  const named = cards.length > 0 ? cards : [{ path: await chooseCard(() => listTargets(file), signal) }];
  // Of a packed image, or one that comes by a pipe, only what its partitions need is known beforehand.
  return findTargets(named, { image: file, size: write ? neededBytes(image) : image.size, allowFixed, write });
}

async function shownImage(
  image: FlashImage,
  digest: string | undefined,
): Promise<Parameters<typeof formatFlashPlan>[0]> {
  const { source, size, header } = image;
  const [age, mapped] = [await ageOf(source), mappedBytes(image)];
  return {
    name: source.name === '-' ? 'stdin' : source.name,
    packing: source.packing,
    ...(header && { role: header.role }),
    ...(digest !== undefined && { digest }),
    ...(age !== undefined && { age }),
    ...(size !== undefined && { size }),
    ...(mapped !== undefined && { mapped }),
  };
}

const shownTarget = ({ target, was, node, resumeFrom }: ReadyCard): Parameters<typeof formatFlashPlan>[1] =>
  target === undefined
    ? []
    : [{ device: target.device, ...(was && { was }), ...(node !== undefined && { node }), resumeFrom }];

const jsonPlan = (image: FlashImage, digest: string | undefined, ready: ReadyCard[]): object => ({
  image: {
    name: image.source.name,
    size: image.size,
    mapped: mappedBytes(image),
    role: image.header?.role,
    buildId: image.header?.buildId,
    sha256: digest,
  },
  cards: ready.map((card) => ({
    device: nameOf(card),
    node: card.node,
    resumeFrom: card.resumeFrom,
    ...(card.target && {
      verdict: card.target.verdict,
      size: card.target.identity.size,
      model: card.target.device.model,
      serial: card.target.device.serial,
      mounts: card.target.device.mounts,
    }),
  })),
});

const shownCard = ({ card, ...flashed }: Flashed): Parameters<typeof formatFlashed>[0][number] => ({
  ...flashed,
  device: nameOf(card),
  ...(card.node !== undefined && { node: card.node }),
});

const jsonCard = ({ card, name, ...flashed }: Flashed, identity: Identity | undefined): object => ({
  device: name,
  ...(card.node !== undefined && { node: card.node }),
  ...(card.cardId !== undefined && { cardId: card.cardId }),
  ...(identity?.login !== undefined && { login: identity.login }),
  knownHosts: identity?.knownHosts ?? [],
  ...flashed,
});

/** This very command and the card that was chosen: another one would make another card. */
function commandAgain(chosen: Target[]): string {
  // What is taken up is read back.
  const [command = '', ...given] = process.argv.slice(2).filter((word) => !/^--(resume|no-verify)$/.test(word));
  return again([command, '--resume', ...given, ...chosen.map(({ device }) => device.path)]);
}
