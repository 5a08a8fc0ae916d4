// Commands for cards: their identity, their result, where they are.
import { Option, type Command } from 'commander';
import { json, progress } from './common-options.ts';
import { collect, collectNames, collectPairs } from './parse.ts';

/** Adds `seed`, `result` and `drives`. */
export function addCardCommands(program: Command, signal: AbortSignal): void {
  const seed = program
    .command('seed')
    .summary('give an image or a card its identity')
    .description('give an image, or a card it was written to, a name, users, network and secrets of its own')
    .argument('<image>', 'file of the image; with --in-place also the device of a card')
    .option('--out <file>', 'write a copy of the image')
    .option('--in-place', 'write to the image or the card itself')
    .option('--from <file>', 'what the machine is given, as YAML (piimg schema node); options go over it')
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
    .option('--host-keys', 'make the ssh host key now, to know the machine by it')
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
    .action(async (file: string, options) => (await import('./commands/seed.ts')).show(file, options));
  program
    .command('result')
    .summary('print how the first boot of a card went')
    .description('print how the first boot of a card went, as the machine has written it there')
    .argument('<card>', 'device of a card, or file of an image that was booted')
    .addOption(json('it'))
    .action(async (card: string, options) => (await import('./commands/result.ts')).result(card, options));
  program
    .command('drives')
    .summary('list disks, and which of them are cards')
    .description('list the disks of this computer: which could be a card, and why each other one is refused')
    .addOption(json('them'))
    .option('--watch', 'go on, and show cards that are put in')
    .action(async (options) => (await import('./commands/drives.ts')).drives(options, signal));
}
