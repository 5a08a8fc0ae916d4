// The files of a new project, as `piimg init` writes them: data.

/** Path and content of every file for a role called `name`; `schema` is the JSON schema's text. */
export function projectFiles(name: string, schema: string): Record<string, string> {
  return {
    [`images/roles/${name}.yaml`]: `# yaml-language-server: $schema=../schemas/role.schema.json
# With a YAML extension an editor completes and explains every key. All of them: piimg schema
version: 1
summary: A Raspberry Pi that greets whoever logs in.
extends: base
packages:
  - htop
overlays:
  - ${name}
timezone: Etc/UTC
`,
    [`overlays/${name}/rootfs/etc/motd`]: `This machine was built by piimg as ${name}.
`,
    'images/schemas/role.schema.json': schema,
    '.gitignore': `out/
`,
    '.github/workflows/image.yml': `# Builds the image on every push and keeps it as an artifact.
name: image
on: [push]
jobs:
  build:
    runs-on: ubuntu-24.04
    env:
      # Ubuntu's apt reads no Debian mirror: set the address of one as a variable of this repository (Settings, Variables).
      PIIMG_MIRROR: \${{ vars.PIIMG_MIRROR }}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 22
      - uses: actions/cache@v4
        with:
          # Of a layer, archive and index: the rest belongs to ids that only a build has, and is unpacked again.
          path: |
            ~/.cache/piimg/bases
            ~/.cache/piimg/store
            ~/.cache/piimg/tools
            ~/.cache/piimg/layers/*/layer.*
          # With the lock of the role committed, the same files are the same layers.
          key: piimg-\${{ hashFiles('images/**', 'overlays/**') }}
          restore-keys: piimg-
      # Ubuntu 24.04 forbids unprivileged programs the namespaces a build runs in.
      - run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
      - run: npm install --global piimg
      - run: piimg doctor --fix
      - run: piimg build --role ${name} --compress xz
      - run: piimg cache prune --days 7
      - uses: actions/upload-artifact@v4
        with:
          name: ${name}
          path: out/
`,
    'README.md': `# ${name}

A Raspberry Pi image, described by \`images/roles/${name}.yaml\` and the files in \`overlays/${name}/\`.

    piimg doctor --fix            # once: installs what building needs
    piimg show ${name}            # the role with everything it extends
    piimg build --role ${name}    # out/${name}.img

The first build writes \`images/roles/${name}.lock.json\`: commit it, and every later build uses the same packages.
\`piimg update --role ${name}\` resolves them again. After an update of piimg, refresh the editor's schema with
\`piimg schema > images/schemas/role.schema.json\`.
`,
  };
}
