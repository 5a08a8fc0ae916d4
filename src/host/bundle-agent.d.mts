// Types of bundle-agent.mjs, which stays plain JavaScript because it runs while piimg is compiled.
export function bundleAgent(outfile: string): Promise<void>;
