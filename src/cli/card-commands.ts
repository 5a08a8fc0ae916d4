// Commands for cards: their identity, their result, where they are.
import { Option, type Command } from 'commander';
import { json, progress } from './common-options.ts';
import { collect, collectNames, collectPairs, parseDigest } from './parse.ts';

/** Adds `flash`, `verify`, `probe`, `card`, `seed`, `customize`, `result`, `drives` and `ledger`. */
export function addCardCommands(program: Command, signal: AbortSignal): void {
  addFlash(program, signal);
  const seed = withNodeOptions(
    program
      .command('seed')
      .summary('give an image or a card its identity')
      .description('give an image, or a card it was written to, a name, users, network and secrets of its own')
      .argument('<image>', 'file of the image; with --in-place also the device of a card')
      .option('--out <file>', 'write a copy of the image')
      .option('--in-place', 'write to the image or the card itself'),
  )
    .addOption(json('what was written, without secrets,'))
    .addOption(progress())
    .enablePositionalOptions()
    .action(async (image: string, options) => (await import('./commands/seed.ts')).seed(image, options, signal));
  seed
    .command('show')
    .summary('print what an image or a card carries')
    .description('print what an image or a card carries, without secrets')
    .argument('<image>', 'file of the image, or device of a card')
    .addOption(json('it'))
    .action(async (file: string, options) => (await import('./commands/seed.ts')).show(file, options, signal));
  withNodeOptions(
    program
      .command('customize')
      .summary('give an image of any maker its identity')
      .description(
        'give an image of any maker, or a card it was written to, a name, users and network, in the words of its own first boot',
      )
      .argument('<image>', 'file of the image; with --in-place also the device of a card')
      .option('--out <file>', 'write a copy of the image')
      .option('--in-place', 'write to the image or the card itself'),
  )
    .addOption(json('what was written, without secrets,'))
    .addOption(progress())
    .action(async (image: string, options) =>
      (await import('./commands/customize-early.ts')).customizeEarly(image, options, signal),
    );
  program
    .command('result')
    .summary('print how the first boot of a card went')
    .description('print how the first boot of a card went, as the machine has written it there')
    .argument('<card>', 'device of a card, or file of an image that was booted')
    .addOption(json('it'))
    .action(async (card: string, options) => (await import('./commands/result.ts')).result(card, options, signal));
  program
    .command('drives')
    .summary('list disks, and which of them are cards')
    .description('list the disks of this computer: which could be a card, and why each other one is refused')
    .addOption(json('them'))
    .option('--watch', 'go on, and show cards that are put in')
    .action(async (options) => (await import('./commands/drives.ts')).drives(options, signal));
  program
    .command('ledger')
    .summary('list the cards that were written')
    .description('list the cards that were written, the newest first: when, as which node, how quickly, how it went')
    .option('--node <name>', 'cards of this node only')
    .option('--file <file>', 'where cards are noted', 'out/ledger.jsonl')
    .addOption(json('them'))
    .action(async (options) => (await import('./commands/ledger.ts')).ledger(options));
}

function addFlash(program: Command, signal: AbortSignal): void {
  const command = program
    .command('flash')
    .summary('write an image to cards, and read them back')
    .description('write an image to cards, each with an identity of its own, and read them back')
    .argument(
      '[words...]',
      'image (file, URL, or - for stdin; packed as xz, gz, zst or zip, too) and cards (/dev/sdb, or NODE=/dev/sdb)',
    )
    .option('--role <name|file>', 'role whose image is built, if needed, and written')
    .option('--sha256 <digest>', 'of the image file, as it is offered: no card boots from another one', parseDigest)
    .option('--to <file>', 'write a file instead of cards');
  withNodeOptions(command)
    .option('--no-login', 'write it even though nobody could log in')
    .option('--resume', 'go on where an earlier run was stopped; all is read back in any case')
    .option('--verify-only', 'write nothing: compare cards with the image')
    .option('--no-verify', 'do not read back what was written')
    .option('--wipe', 'zero all that the image does not use, to the end of the card')
    .option('--dry-run', 'say what would be done')
    .option('--yes', 'do not ask before a card is overwritten')
    .addOption(new Option('--confirm <name>', 'agree to this disk, like sdb; may be given again').argParser(collect))
    .option('--allow-fixed', 'allow disks that are not card-like')
    .addOption(json('how it went'))
    .addOption(progress())
    .action(async (words: string[], options) => (await import('./commands/flash.ts')).flash(words, options, signal));
  program
    .command('verify')
    .summary('compare a card with an image')
    .description('compare a card with an image, but for what is its own: its identity and what it writes itself')
    .argument('<image>', 'image the card was written from')
    .argument('<card>', 'device of the card, or a file')
    .addOption(json('how it went'))
    .addOption(progress())
    .action(async (image: string, card: string, options) =>
      (await import('./commands/verify.ts')).verify(image, card, options, signal),
    );
  addProbe(program, signal);
  program
    .command('card')
    .summary('say what a card is')
    .description('say what a card is: its image, its node, when it was written, how its first boot went')
    .argument('<card>', 'device of the card, or a file')
    .option('--ledger <file>', 'where cards are noted', 'out/ledger.jsonl')
    .addOption(json('it'))
    .addOption(progress())
    .action(async (card: string, options) => (await import('./commands/card.ts')).card(card, options, signal));
}

function addProbe(program: Command, signal: AbortSignal): void {
  program
    .command('probe')
    .summary('find out what a card really has, and how quick it is')
    .description(
      'find out how much a card really has, and how quick it is: it is written all over, and all that is on it is lost',
    )
    .argument('<card>', 'device of the card')
    .option('--full', 'write and read back every block: hours for a large card')
    .option('--yes', 'do not ask before the card is overwritten')
    .addOption(new Option('--confirm <name>', 'agree to this disk, like sdb; may be given again').argParser(collect))
    .option('--allow-fixed', 'allow a disk that is not card-like')
    .addOption(json('what it is'))
    .addOption(progress())
    .action(async (card: string, options) => (await import('./commands/probe.ts')).probe(card, options, signal));
}

/** What a machine is given beside its image. */
function withNodeOptions(command: Command): Command {
  return command
    .option('--from <file>', 'what machines are given, as YAML (piimg schema node, nodes); options go over it')
    .option('--node <name>', 'name of the machine')
    .option('--user <name>', "user of the keys (default: the file's first, or pi)")
    .addOption(new Option('--ssh-key <file>', 'public key that may log in; may be given again').argParser(collect))
    .addOption(
      new Option('--ip <addresses>', 'fixed addresses of the wired card, like 192.168.254.122/24').argParser(
        collectNames,
      ),
    )
    .option('--gateway <address>', 'where packets for other networks go')
    .addOption(new Option('--dns <addresses>', 'name servers, with commas between them').argParser(collectNames))
    .option('--wifi <ssid>', 'Wi-Fi to join, beside the wired network')
    .option('--wifi-password-file <file>', 'file with its password; without: an open network')
    .option('--wifi-country <code>', 'country whose radio rules hold, like DE')
    .addOption(new Option('--set <key=value>', 'variable for templates; may be given again').argParser(collectPairs))
    .addOption(
      new Option('--secret <key=file>', 'secret, read from a file; may be given again').argParser(collectPairs),
    )
    .option('--host-keys', 'make the ssh host key now, to know the machine by it');
}
