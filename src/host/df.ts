// `df`, by node-disk-info. A module of its own, for whoever loads it late: of a package that is CommonJS, `import()` finds its functions in
// the sources alone, and not in the bundle.
export { getDiskInfo } from 'node-disk-info';
