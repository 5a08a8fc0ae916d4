// Every command with its options and help. What a command does is loaded when it is called, so that start-up stays quick.
import { availableParallelism } from 'node:os';
import { Argument, Command, Option } from 'commander';
import { quote } from '../lib/quote.ts';
import { piimgVersion } from '../host/package-root.ts';
import { COMPRESSIONS } from '../image/compress.ts';
import { addCardCommands } from './card-commands.ts';
import { json, progress } from './common-options.ts';
import { parseCount, parseDays, parseDigest, parseNames, parseSize, parseUrl, parseWord } from './parse.ts';

/** Files that have a schema in images/schemas. */
const SCHEMAS = ['role', 'base', 'machine', 'node', 'nodes'] as const;

/** Machines to test on unless some are named. */
const MACHINES = ['virt'];

const EPILOGUE = `
Exit codes: 0 done, 1 failed, 2 wrong usage or invalid role, 3 refused target, 4 missing tool, 70 bug, 130 interrupted.
Definitions are looked for in ./images and ./overlays, then among those that come with piimg.`;

const role = () => new Option('--role <name|file>', 'role to build: a name, or the path of its file (required)');
const base = () => new Option('--base <name|file>', "base system, or an image's file, instead of the role's own");
const baseSha256 = () =>
  new Option('--base-sha256 <digest>', 'take the image of this sha256, packed or not, of a base that is one').argParser(
    parseDigest,
  );
const osList = () => new Option('--os-list <url|file>', "list to find the base's image in (or PIIMG_OS_LIST)");
const out = () =>
  new Option('--out <file>', 'image the lock file of a built-in role lies beside (default: out/ROLE.img)');
const size = () =>
  new Option(
    '--size <size>',
    'size of the image, like 4G (default: 1.2 times the content plus 200 MiB, and 520 MiB to boot from)',
  ).argParser(parseSize);
const offline = () => new Option('--offline', 'use downloaded packages only');
const mirror = () => new Option('--mirror <url>', 'Debian archive to download from').argParser(parseUrl);
/** The command line of piimg; `signal` stops the command that runs. Throws commander's CommanderError on wrong usage. */
export function createProgram(signal: AbortSignal): Command {
  const program = new Command('piimg')
    .description('Builds bootable Raspberry Pi images, one per role, and tests them in QEMU.')
    .version(piimgVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showHelpAfterError('(piimg --help lists commands and options)')
    .addHelpText('after', EPILOGUE)
    // Options are of the command before them: `seed show --json` is not seed's own.
    .enablePositionalOptions()
    .exitOverride();
  // commander would complain about a missing --role before it sees that `--rol` is a slip for it.
  program.hook('preAction', (_program, command) => {
    if (!takesRole(command)) return;
    const [excess] = command.args;
    if (takesRoleAlone(command) && excess !== undefined)
      command.error(`error: a role is given with an option: --role ${quote([excess])}`);
    if (command.getOptionValue('role') !== undefined) return;
    const first = command.registeredArguments[0]?.name();
    // `flash` takes the image that was built last.
    if (first === 'words') return;
    const takesImage = first === 'image';
    if (!takesImage) command.error("error: option '--role <name|file>' is required");
    else if (command.args.length === 0)
      command.error("error: an image, or a role with '--role <name|file>', is required");
  });
  addProjectCommands(program);
  addBuildCommands(program, signal);
  addImageCommands(program, signal);
  addBootCommands(program, signal);
  addCardCommands(program, signal);
  addCacheCommands(program, signal);
  program
    .command('doctor')
    .description('check everything piimg needs of this machine')
    .option('--fix', 'install what is missing, as root or through sudo')
    .addOption(
      new Option('--selftest', 'check the list of disks (piimg drives) by what else tells of them').conflicts('fix'),
    )
    .addOption(json('the checks'))
    .action(async (options) => (await import('./commands/doctor.ts')).doctor(options, signal));
  // The hook says more of them.
  for (const command of program.commands) if (takesRoleAlone(command)) command.allowExcessArguments();
  return program;
}

const takesRole = ({ options }: Command): boolean => options.some(({ long }) => long === '--role');
const takesRoleAlone = (command: Command): boolean => takesRole(command) && command.registeredArguments.length === 0;

function addProjectCommands(program: Command): void {
  program
    .command('init')
    .summary('start a project of your own')
    .description('start a project of your own: a role, an overlay, a CI example')
    .argument('<dir>', 'folder to make; it must be new or empty')
    .action(async (dir: string) => (await import('./commands/init.ts')).init(dir));
  program
    .command('roles')
    .description('list the roles that can be built')
    .addOption(json('them'))
    .action(async (options) => (await import('./commands/roles.ts')).roles(options));
  program
    .command('show')
    .summary('print a role merged with all it builds on')
    .description('print a role with everything it extends and mixes in merged')
    .argument('<role>', 'name, or path of a file')
    .addOption(json('it'))
    .action(async (name: string, options) => (await import('./commands/show.ts')).show(name, options));
  program
    .command('schema')
    .summary('print a JSON schema, for editors')
    .description('print the JSON schema of role, base, machine, node or nodes files, for editors')
    .addArgument(new Argument('[kind]', 'kind of file').choices(SCHEMAS).argParser(parseWord(SCHEMAS)).default('role'))
    .action(async (kind: (typeof SCHEMAS)[number]) => (await import('./commands/schema.ts')).schema(kind));
}

function addBuildCommands(program: Command, signal: AbortSignal): void {
  program
    .command('build')
    .description('build the image of a role')
    .addOption(role())
    .addOption(base())
    .addOption(baseSha256())
    .addOption(osList())
    .option('--out <file>', 'image to write (default: out/ROLE.img)')
    .addOption(
      new Option('--compress <format>', 'also write it compressed').choices(['none', ...COMPRESSIONS]).default('none'),
    )
    .addOption(size())
    .addOption(offline())
    .option('--locked', 'fail unless the lock file fits the role')
    .option('--no-cache', 'make every layer anew')
    .addOption(
      new Option('--jobs <n>', 'things done at the same time')
        .argParser(parseCount)
        .default(availableParallelism(), 'one per processor'),
    )
    .addOption(mirror())
    .option('--shell-on-error', 'open a shell where a step failed')
    .addOption(json('the result'))
    .addOption(progress())
    .action(async (options) => (await import('./commands/build.ts')).build(options, signal));
  program
    .command('plan')
    .summary('print what a build would do')
    .description('print what a build would do, without doing it')
    .addOption(role())
    .addOption(base())
    .addOption(baseSha256())
    .addOption(osList())
    .addOption(out())
    .addOption(size())
    .addOption(offline())
    .addOption(mirror())
    .addOption(json('the plan'))
    .addOption(progress())
    .action(async (options) => (await import('./commands/plan.ts')).plan(options, signal));
  program
    .command('update')
    .summary('resolve packages again, print what changed')
    .description('resolve packages again, write the lock file, print what changed')
    .addOption(role())
    .addOption(base())
    .addOption(baseSha256())
    .addOption(osList())
    .addOption(out())
    .addOption(mirror())
    .addOption(json('the difference'))
    .addOption(progress())
    .action(async (options) => (await import('./commands/update.ts')).update(options, signal));
}

function addImageCommands(program: Command, signal: AbortSignal): void {
  program
    .command('inspect')
    .summary('say what an image of anybody is and carries')
    .description(
      'say what an image or a card is, whoever made it: layout, system, how its first boot works, what identity it carries',
    )
    .argument('<image>', 'file of the image, or device of a card')
    .option('--facts', 'compare it with what is documented of Raspberry Pi OS, fact by fact')
    .addOption(json('it'))
    .action(async (file: string, options) => (await import('./commands/inspect.ts')).inspect(file, options, signal));
  program
    .command('diff')
    .summary('compare two images or plans')
    .description('compare the packages and files of two images or plans')
    .argument('<a>', 'image, manifest or plan file')
    .argument('<b>', 'the one to compare it with')
    .addOption(json('the difference'))
    .action(async (a: string, b: string, options) => (await import('./commands/diff.ts')).diff(a, b, options, signal));
  program
    .command('shell')
    .summary('open a shell in the built system of a role')
    .description('open a shell in the built system of a role, or run a command there; the image is not changed')
    .addOption(role())
    .addOption(base())
    .addOption(baseSha256())
    .addOption(osList())
    .addOption(out())
    .addOption(offline())
    .addOption(mirror())
    .addArgument(new Argument('[command...]', 'command to run instead of a shell, after --'))
    .action(async (command: string[], options) =>
      (await import('./commands/shell.ts')).shell(command, options, signal),
    );
}

function addBootCommands(program: Command, signal: AbortSignal): void {
  const built = () => new Option('--role <name|file>', 'role whose image is built, if needed, and booted');
  const image = () => new Option('--out <file>', 'image of that role (default: out/ROLE.img)');
  program
    .command('test')
    .summary('boot images in QEMU, check that they work')
    .description('boot images in QEMU and check that they work; the images are not changed')
    .addArgument(new Argument('[image...]', 'files of images'))
    .addOption(built())
    .addOption(base())
    .addOption(image())
    .addOption(
      new Option(
        '--machine <names>',
        'machines to boot on, with commas between: virt, raspi3b, raspi4b, or files of ./qemu/machines',
      )
        .argParser(parseNames(MACHINES))
        .default(MACHINES, MACHINES.join()),
    )
    .option('--reboot', 'boot a second time: it must be the same machine, and healthy')
    .option('--reports <dir>', 'folder for the HTML page and JUnit XML (default: beside the image)')
    .addOption(new Option('--jobs <n>', 'tests at the same time').argParser(parseCount).default(1))
    .addOption(offline())
    .option('--locked', 'fail unless the lock file fits the role')
    .addOption(mirror())
    .addOption(json('the reports'))
    .addOption(progress())
    .action(async (images: string[], options) => (await import('./commands/test.ts')).test(images, options, signal));
  program
    .command('boot')
    .summary('boot an image, its console in this terminal')
    .description('boot an image in QEMU with its console in this terminal; Ctrl-A X leaves')
    .addArgument(new Argument('[image]', 'file of the image'))
    .addOption(built())
    .addOption(base())
    .addOption(image())
    .addOption(new Option('--machine <name>', 'machine to boot on').default('virt'))
    .addOption(offline())
    .addOption(mirror())
    .action(async (file: string | undefined, options) =>
      (await import('./commands/boot.ts')).boot(file, options, signal),
    );
}

function addCacheCommands(program: Command, signal: AbortSignal): void {
  const cache = program.command('cache').description('look after downloads and built layers');
  cache
    .command('ls')
    .description('list what is in the cache')
    .addOption(json('it'))
    .action(async (options) => (await import('./commands/cache.ts')).list(options, signal));
  cache
    .command('prune')
    .description('remove what no recent build used')
    .addOption(
      new Option('--days <n>', 'keep what was used in the last days; 0: nothing, unless another piimg is at work')
        .argParser(parseDays)
        .default(30),
    )
    .addOption(json('what was removed'))
    .action(async (options) => (await import('./commands/cache.ts')).prune(options, signal));
  cache
    .command('verify')
    .description('read everything in the cache and compare digests')
    .addOption(json('the result'))
    .addOption(progress())
    .action(async (options) => (await import('./commands/cache.ts')).verify(options, signal));
}
