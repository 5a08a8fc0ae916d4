// Starts the threads of a flash, from sources as from the package.
import { Worker } from 'node:worker_threads';

/** `name` is a module beside this one. What it throws is a bug: `broken` gets it. */
export function startThread(name: string, workerData: object, broken: (error: Error) => void): Worker {
  const worker = import.meta.url.endsWith('.ts') ? fromSource(name, workerData) : fromPackage(name, workerData);
  worker.on('error', broken);
  return worker;
}

/** What an unpacking program prints comes in small buffers that are soon done with: looked for more often, they take 20 MB less. */
const LIMITS = { maxYoungGenerationSizeMb: 2 };

const fromPackage = (name: string, workerData: object): Worker =>
  new Worker(new URL(`../threads/${name}.js`, import.meta.url), { workerData, resourceLimits: LIMITS });

/** tsx, which runs piimg from a clone, is not there in a new thread by itself. */
function fromSource(name: string, workerData: object): Worker {
  const [api, module] = [import.meta.resolve('tsx/esm/api'), new URL(`./${name}.ts`, import.meta.url).href];
  const script = `import(${JSON.stringify(api)}).then(({ register }) => (register(), import(${JSON.stringify(module)})))`;
  return new Worker(script, { eval: true, workerData, resourceLimits: LIMITS });
}
