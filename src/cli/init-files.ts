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
# Logging in takes a key, your own:
# users: [{ name: me, groups: [sudo], keys: [ssh-ed25519 …] }]
`,
    [`overlays/${name}/rootfs/etc/motd`]: `This machine was built by piimg as ${name}.
`,
    'images/schemas/role.schema.json': schema,
    '.gitignore': `out/
reports/
`,
    '.github/workflows/image.yml': `# Builds the image on every push and boots it in QEMU. Downloads and layers are kept between runs; the image, the report (HTML) and
# JUnit XML are kept as artifacts, also when the boot failed. It was not run on GitHub.
name: image
on: [push]
jobs:
  image:
    runs-on: ubuntu-24.04
    container:
      image: debian:12
      # A build opens namespaces and mounts layers in them, which docker forbids otherwise, to root too.
      options: --privileged
    env:
      # Where piimg comes from: the .tgz file that \`npm pack\` makes in a clone of it, committed here, or the https address of one. Set
      # it as a variable of this repository (Settings, Variables). piimg is not on npm: a package of that name would be a stranger's.
      PIIMG_PACKAGE: \${{ vars.PIIMG_PACKAGE }}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 22
      - uses: actions/cache@v4
        with:
          # The bases are the dates that layers bear. Of a layer, archive and index: the rest would lose attributes, and is unpacked again.
          path: |
            ~/.cache/piimg/bases
            ~/.cache/piimg/store
            ~/.cache/piimg/tools
            ~/.cache/piimg/layers/*/layer.*
          # Kept after every run that passes. With the lock of the role committed, the same files are the same layers.
          key: piimg-\${{ github.run_id }}
          restore-keys: piimg-
      - run: npm install --global "\${PIIMG_PACKAGE:?is not set, see the comment in this workflow}"
      - run: piimg doctor --fix
      # Builds, boots on the fast machine, checks the role's health list.
      - run: piimg test --role ${name} --reports reports
      - run: piimg cache prune --days 7
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: ${name}
          path: |
            reports/
            out/${name}.img
            out/${name}.bmap
            out/${name}.manifest.json
`,
    'README.md': `# ${name}

A Raspberry Pi image, described by \`images/roles/${name}.yaml\` and the files in \`overlays/${name}/\`.

    piimg doctor --fix            # once: installs what building and testing need
    piimg show ${name}            # the role with everything it extends
    piimg build --role ${name}    # out/${name}.img
    piimg test out/${name}.img    # boots it in QEMU, checks that it works

The first build writes \`images/roles/${name}.lock.json\`: commit it, and every later build uses the same packages.
\`piimg update --role ${name}\` resolves them again. After an update of piimg, refresh the editor's schema with
\`piimg schema > images/schemas/role.schema.json\`.
`,
  };
}
